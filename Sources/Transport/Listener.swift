// A socket that listens. A reload replaces what its connections are told, never the socket: closing a shared socket would lose
// the connections that wait in its queue.
package import Reactor

package enum Accepted: ~Copyable {
    case stream(Stream, PeerAddress)
    case none
    /// No descriptors left.
    case exhausted
}

package struct Listener: ~Copyable {
    private let socket: Socket
    /// Connections speak TLS.
    package var isTLS = false
    package var isPaused = false

    package init(_ socket: consuming Socket) { self.socket = socket }
    package var descriptor: Int32 { socket.descriptor }

    package borrowing func accept() -> Accepted {
        switch socket.accept() {
        case .accepted(let connection, let peer):
            .stream(isTLS ? Stream(awaitingTLS: connection) : Stream(connection), peer)
        case .none: .none
        case .exhausted: .exhausted
        }
    }
}
