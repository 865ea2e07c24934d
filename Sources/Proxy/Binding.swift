// Reserves addresses before any worker is told of them: a taken port is one clear sentence, and nothing has happened yet.
import Bytes
import Configuration
import Glibc
import Reactor

/// An address that is ours. Each worker has a descriptor table of its own, so TCP sockets are made by the worker that
/// listens; the control thread only keeps the address from others. A UNIX socket has one queue for all: it is made here,
/// before the workers start, and they inherit it.
struct Reservation: Sendable {
    let address: ListenAddress
    /// Of the control thread's table.
    let descriptor: Int32
}

enum Binding {
    /// All of them, or none and the reason.
    static func reserve(_ listeners: [Configuration.Listener]) throws(Diagnostic) -> [Reservation] {
        var made: [Reservation] = []
        for listener in listeners {
            do throws(SocketError) {
                made.append(Reservation(address: listener.address, descriptor: try reserve(listener)))
            } catch {
                release(made)
                throw Diagnostic(at: listener.position, "cannot listen on \(listener.address.text): \(reason(error))")
            }
        }
        return made
    }
    private static func reserve(_ listener: Configuration.Listener) throws(SocketError) -> Int32 {
        switch listener.address {
        case .socket(let address):
            try Socket.probe(address)
            return try Socket.listen(address, backlog: 0, isShared: true).detach()
        case .unix(let path): return try Socket.listen(unix: path, backlog: listener.backlog).detach()
        }
    }
    static func release(_ reservations: [Reservation]) {
        for reservation in reservations { close(reservation.descriptor) }
    }
    static func reason(_ error: SocketError) -> String {
        error.isAddressInUse ? "another program listens there already" : error.text
    }
}

extension ListenAddress {
    var isUNIX: Bool { if case .unix = self { true } else { false } }
}
