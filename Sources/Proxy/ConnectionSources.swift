// Whom connections are from where balancers say it, by the PROXY protocol: believed of trusted peers alone, and required of them.
// And which connections bring requests whose fields may say whom they are from (RequestSource.swift).
import Bytes
import Configuration
import Connections
import Reactor
import Telemetry
import Transport

extension Worker {
    /// False: the peer is nobody who may say whom a connection is from, and everybody who connects there must.
    mutating func mayNameSource(_ peer: PeerAddress, listener: Int) -> Bool {
        var address: IPAddress?
        if case .socket(let socket) = peer { address = socket.address }
        if snapshots[current].configuration.listeners[listener].trusted.contains(address) { return true }
        counters.tally.sourcesUntrusted &+= 1
        turnedAway(ClientAddress(peer), "not among trusted_proxies")
        return false
    }
    /// True: the connection is the client's from here on, and its bytes may be read.
    mutating func learnSource(_ id: SlotID) -> Bool {
        switch clients[id].takeSource(&input) {
        case .known:
            counters.tally.sourcesNamed &+= 1
            armClient(id, firstNanoseconds(id))
            judgePeer(id)
            return true
        case .incomplete: return false
        case .gone:
            closeClient(id)
            return false
        case .malformed(let error):
            counters.tally.sourcesMalformed &+= 1
            turnedAway(clients[id].address, error.reason)
            closeClient(id)
            return false
        }
    }
    mutating func sourceIsLate(_ id: SlotID) {
        counters.tally.sourcesLate &+= 1
        turnedAway(clients[id].address, "the PROXY protocol header took too long")
        closeClient(id)
    }

    /// Decided once for each connection: whether whoever speaks HTTP on it is a proxy of ours. Behind the PROXY protocol that is
    /// whom the header names: the balancer that wrote it has looked at no request.
    mutating func judgePeer(_ id: SlotID) {
        let trusted = snapshots[current].configuration.listeners[Int(clients[id].listener)].trusted
        clients[id].isBelieved = !clients[id].isNameless && trusted.contains(clients[id].address.address)
    }
    /// A new configuration may trust others.
    mutating func judgePeers(since older: SlotID) {
        guard trustsPeers(older) || trustsPeers(current) else { return }
        for i in 0..<clients.capacity { if let id = clients.occupant(i) { judgePeer(id) } }
    }

    private mutating func trustsPeers(_ snapshot: SlotID) -> Bool {
        guard snapshots.contains(snapshot) else { return false }
        return snapshots[snapshot].configuration.listeners.contains { !$0.trusted.isEmpty }
    }

    /// Tells an upstream whom its connection is for. It is for nobody else then.
    mutating func nameSource(of exchange: SlotID, to upstream: SlotID, _ route: Route) {
        let client = exchanges[exchange].client
        let source = address(of: exchange).socketAddress
        let version: ProxyHeader.Version = route.sourceVersion == 1 ? .one : .two
        upstreams[upstream].begin(
            with: ProxyHeader.write(version, from: source, to: clients[client].localAddress))
    }

    /// Nobody there could read an answer: the connection is closed, and the operator is told why.
    private mutating func turnedAway(_ peer: ClientAddress, _ reason: StaticString) {
        let log = snapshots[current].configuration.errorLog
        guard LogSeverity.warning.rawValue <= log.level.rawValue else { return }
        // Beyond the reasons of requests: all of these share one limit.
        guard case .write(let suppressed) = limiter.admit(Int.max, now: loop.now) else {
            counters.tally.logLinesSuppressed &+= 1
            return
        }
        var line = LogLine(.warning, wallSeconds: loop.wallSeconds)
        line.append("connection with the PROXY protocol closed: \(reason), peer: ")
        line.append(peer.bytes)
        line.append(suppressed: suppressed)
        logLines.add(line.finish(), to: log.target)
    }
}
