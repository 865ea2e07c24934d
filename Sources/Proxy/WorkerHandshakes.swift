// TLS handshakes: whose settings a connection gets, and which requests it may carry then.
import Bytes
import Configuration
import Connections
import Policy
import Telemetry
import Transport

extension Worker {
    /// A certificate's signature costs a tenth of a millisecond with P-256 and four tenths with RSA: whoever has a connection
    /// waits for so many at most in a turn, and a flood of strangers waits in line.
    private static let handshakesPerTurn = 8

    /// It goes on at the end of this turn or of one of the next, when the output of all others has left.
    mutating func awaitHandshake(_ id: SlotID) {
        if clients[id].isQueued { return }
        clients[id].isQueued = true
        handshakes.append(id)
    }
    /// Takes up as many as one turn may have.
    mutating func takeUpHandshakes() {
        for _ in 0..<Self.handshakesPerTurn {
            guard let id = handshakes.next() else { return }
            guard clients.contains(id) else { continue }
            clients[id].isQueued = false
            readClient(id)
            if clients.contains(id) && !clients[id].isHandshaking { counters.tally.tlsHandshakes &+= 1 }
        }
    }

    /// Whether the handshake of a connection had to be settled, and was; if it cannot be, the connection is gone.
    mutating func settles(_ id: SlotID) -> Bool {
        guard clients[id].isUnsettled else { return false }
        if !settle(id) { clientGone(id) }
        return true
    }
    /// Settles what a connection is shown and asked for: when its first bytes are here, by the default server of its listener;
    /// and again when the client has named a server. False: it cannot go on.
    private mutating func settle(_ id: SlotID) -> Bool {
        let listener = Int(clients[id].listener)
        if clients[id].isAwaitingTLS {
            let server = Int(snapshots[current].limits[listener].server)
            guard let session = tls.session(of: server, on: clients[id].descriptor) else { return false }
            clients[id].begin(session, clientRules: clientRules(of: server))
            return true
        }
        text.clear()
        clients[id].appendRequestedName(to: &text)
        // A name may end in a dot; in a certificate none does.
        if text.count > 1 && text.bytes[text.count - 1] == UInt8(ascii: ".") { text.truncate(to: text.count - 1) }
        let server = snapshots[current].table.server(for: text, listener: listener)
        guard tls.goOn(as: server, &clients[id]) else { return false }
        clients[id].clientRules = clientRules(of: server)
        return true
    }
    private mutating func clientRules(of server: Int) -> UInt32 {
        snapshots[current].configuration.servers[server].tls?.clients?.number ?? 0
    }

    /// Connections of a listener that is about to go: they keep what they came for.
    mutating func beginHandshakes(listener: Int) {
        for i in 0..<clients.capacity {
            guard let id = clients.occupant(i), Int(clients[id].listener) == listener, clients[id].isAwaitingTLS else {
                continue
            }
            if !settle(id) { closeClient(id) }
        }
    }
}

extension ControlPlane {
    /// Whoever reads such a file reads the traffic: nobody shall have forgotten it.
    borrowing func warnOfKeyLogs() {
        var said: [String] = []
        for server in configuration.servers {
            guard let file = server.tls?.keyLog?.file, !said.contains(file) else { continue }
            said.append(file)
            say(.warning, "ssl_key_log: the secrets of TLS sessions are written to \(file)")
        }
    }
}
