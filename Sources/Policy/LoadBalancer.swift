// Chooses an endpoint of a group: smooth weighted round robin as nginx does it, leaving out endpoints that keep failing.
package import Bytes
package import Configuration

/// The endpoints of one group, as one worker sees them. Pure: it names peers by their place in the group.
package struct LoadBalancer {
    private struct Peer: BitwiseCopyable {
        let weight: Int32
        let maxFails: Int32
        let failNanoseconds: UInt64
        let isDown: Bool
        /// Health checks took it out of service.
        var isUnhealthy = false
        var current: Int32 = 0
        var fails: Int32 = 0
        var firstFail = Instant(nanoseconds: 0)
        var leftOutUntil = Instant(nanoseconds: 0)
        var isInService: Bool { !isDown && !isUnhealthy }
    }
    private var peers: [Peer] = []
    private let check: HealthCheck?

    package init(_ upstream: Upstream) {
        check = upstream.healthCheck
        peers = upstream.endpoints.map {
            Peer(
                weight: Int32(clamping: $0.weight), maxFails: Int32(clamping: $0.maxFails),
                failNanoseconds: $0.failTimeout.nanoseconds, isDown: $0.isDown)
        }
    }

    /// The next peer in turn that is in service and not among `tried` (a bit each, see `Upstream.maximumEndpoints`); nil
    /// when there is none.
    package mutating func next(now: Instant, tried: UInt64) -> Int? {
        if peers.count == 1 { return tried & 1 == 0 && peers[0].isInService ? 0 : nil }
        var best: Int?
        var total: Int32 = 0
        for i in peers.indices where tried & 1 << UInt64(i) == 0 && peers[i].isInService && peers[i].leftOutUntil <= now
        {
            peers[i].current += peers[i].weight
            total += peers[i].weight
            if let chosen = best, peers[chosen].current >= peers[i].current { continue }
            best = i
        }
        if let best { peers[best].current -= total }
        return best
    }
    /// A peer refused a connection, or did not answer. A group of one is never left out: there is nobody else to ask.
    package mutating func failed(_ peer: Int, now: Instant) {
        guard peers.indices.contains(peer), peers[peer].maxFails > 0, peers.count > 1 else { return }
        if now.nanoseconds &- peers[peer].firstFail.nanoseconds > peers[peer].failNanoseconds {
            peers[peer].fails = 0
            peers[peer].firstFail = now
        }
        peers[peer].fails += 1
        if peers[peer].fails >= peers[peer].maxFails {
            peers[peer].leftOutUntil = Instant(nanoseconds: now.nanoseconds &+ peers[peer].failNanoseconds)
            peers[peer].fails = 0
        }
    }
    package mutating func succeeded(_ peer: Int) {
        guard peers.indices.contains(peer), peers[peer].fails > 0 else { return }
        peers[peer].fails = 0
    }
    /// What health checks found. One that is back in service has the past of its requests forgiven.
    package mutating func setHealth(_ peer: Int, isHealthy: Bool) {
        guard peers.indices.contains(peer), peers[peer].isUnhealthy == isHealthy else { return }
        peers[peer].isUnhealthy = !isHealthy
        peers[peer].fails = 0
        peers[peer].leftOutUntil = Instant(nanoseconds: 0)
    }
    /// Takes over what an older balancer of the same endpoints has learned.
    package mutating func inherit(_ older: LoadBalancer) {
        guard older.peers.count == peers.count else { return }
        for i in peers.indices {
            peers[i].current = older.peers[i].current
            if check == older.check { peers[i].isUnhealthy = older.peers[i].isUnhealthy }
            peers[i].fails = older.peers[i].fails
            peers[i].firstFail = older.peers[i].firstFail
            peers[i].leftOutUntil = older.peers[i].leftOutUntil
        }
    }
}

extension Duration {
    /// Whole nanoseconds, not below 0; the longest possible time when there are more than fit.
    package var nanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        if seconds < 0 { return 0 }
        let (product, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? .max / 4 : min(product &+ UInt64(max(0, attoseconds) / 1_000_000_000), .max / 4)
    }
}
