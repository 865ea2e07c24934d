// Binds addresses before any worker starts: a taken port is one clear sentence, and nothing has happened yet.
import Bytes
import Configuration
import Glibc
import Reactor

enum Binding {
    /// For each worker, a socket of its own for each address; the descriptors belong to whoever takes them.
    static func bind(_ listeners: [Configuration.Listener], workers: Int) throws(Diagnostic) -> [[BoundListener]] {
        var sockets = [[BoundListener]](repeating: [], count: workers)
        for listener in listeners {
            do throws(SocketError) {
                try bind(listener, into: &sockets)
            } catch {
                for bound in sockets.joined() { close(bound.descriptor) }
                throw Diagnostic(at: listener.position, "cannot listen on \(listener.address.text): \(reason(error))")
            }
        }
        return sockets
    }
    private static func bind(
        _ listener: Configuration.Listener, into sockets: inout [[BoundListener]]
    ) throws(SocketError) {
        switch listener.address {
        case .socket(let address):
            try Socket.probe(address)
            for i in sockets.indices {
                let socket = try Socket.listen(address, backlog: listener.backlog, isShared: true)
                sockets[i].append(BoundListener(address: listener.address, descriptor: socket.detach()))
            }
        case .unix(let path):
            // One queue that all workers take from: a path can be bound only once.
            let socket = try Socket.listen(unix: path, backlog: listener.backlog)
            for i in sockets.indices.dropFirst() {
                sockets[i].append(BoundListener(address: listener.address, descriptor: socket.duplicate()))
            }
            sockets[0].append(BoundListener(address: listener.address, descriptor: socket.detach()))
        }
    }
    static func reason(_ error: SocketError) -> String {
        error.isAddressInUse ? "another program listens there already" : error.text
    }
}

extension ListenAddress {
    /// As `listen` has it.
    var text: String {
        switch self {
        case .socket(let address): address.text
        case .unix(let path): "unix:\(path)"
        }
    }
}
