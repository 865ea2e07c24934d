// A socket that listens, and the TLS settings of what it accepts. A reload replaces the settings, never the socket: closing
// a shared socket would lose the connections that wait in its queue.
package import Reactor

package enum Accepted: ~Copyable {
    case stream(Stream, PeerAddress)
    case none
    /// No descriptors left.
    case exhausted
}

package struct Listener: ~Copyable {
    private let socket: Socket
    private var tls: TLSContext?
    package var isPaused = false

    package init(_ socket: consuming Socket) { self.socket = socket }
    package var descriptor: Int32 { socket.descriptor }

    /// Settings for the connections that are accepted from now on; nil: clear text.
    package mutating func use(_ context: consuming TLSContext?) { tls = context }
    /// The settings in use, for another listener that is to have the same.
    package borrowing func settings() -> TLSContext? { tls?.shared() }

    package borrowing func accept() -> Accepted {
        switch socket.accept() {
        case .accepted(let connection, let peer):
            guard tls != nil else { return .stream(Stream(connection), peer) }
            guard let session = tls?.accept(on: connection) else { return .exhausted }
            return .stream(Stream(connection, tls: session), peer)
        case .none: return .none
        case .exhausted: return .exhausted
        }
    }
}
