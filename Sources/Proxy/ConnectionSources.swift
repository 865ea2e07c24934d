// Whom connections are from where balancers say it, by the PROXY protocol: believed of trusted peers alone, and required of them.
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

    /// Tells an upstream whom its connection is for. It is for nobody else then.
    mutating func nameSource(of exchange: SlotID, to upstream: SlotID, _ route: Route) {
        let client = exchanges[exchange].client
        let version: ProxyHeader.Version = route.sourceVersion == 1 ? .one : .two
        upstreams[upstream].begin(
            with: ProxyHeader.write(
                version, from: clients[client].address.socketAddress, to: clients[client].localAddress))
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
