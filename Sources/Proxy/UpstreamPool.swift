// Endpoints and their idle connections, newest first. Pure: it names slots and owns nothing. It outlives reloads, so that
// unchanged endpoints keep their connections.
import Bytes
import Configuration
import Connections
import Policy
import Transport

struct UpstreamPool: ~Copyable {
    struct EndpointState {
        let address: ListenAddress
        let name: [UInt8]
        /// It is spoken to in HTTP/2.
        let isFramed: Bool
        /// Nil: in clear text.
        let tls: UpstreamTLS?
        /// Of an earlier connection, for the next one to go on with.
        var session: ResumableSession?
        var keepalive: Int
        var keepaliveNanoseconds: UInt64
        var keepaliveRequests: UInt32
        var idle: [SlotID] = []
        /// Connections that carry many requests at once, idle or not; and how many the server said it takes on one.
        var shared: [SlotID] = []
        var streamLimit = ConnectionLimits.upstreamStreams
    }
    private(set) var endpoints: [EndpointState] = []

    /// Numbers for the endpoints of a group; a known address keeps its number and its connections.
    mutating func adopt(_ upstream: Upstream) -> [Int32] {
        upstream.endpoints.map { endpoint in
            let known = endpoints.firstIndex {
                $0.address == endpoint.address && $0.name == Array(endpoint.name.utf8)
                    && $0.isFramed == upstream.isFramed && $0.tls == upstream.tls
            }
            let i = known ?? endpoints.count
            if known == nil {
                endpoints.append(
                    EndpointState(
                        address: endpoint.address, name: Array(endpoint.name.utf8), isFramed: upstream.isFramed,
                        tls: upstream.tls, keepalive: 0, keepaliveNanoseconds: 0, keepaliveRequests: 0))
            }
            endpoints[i].keepalive = upstream.keepalive
            endpoints[i].idle.reserveCapacity(min(upstream.keepalive, SlotID.listReserve))
            endpoints[i].keepaliveNanoseconds = upstream.keepaliveTimeout.nanoseconds
            endpoints[i].keepaliveRequests = UInt32(clamping: upstream.keepaliveRequests)
            return Int32(i)
        }
    }
    /// Before a new configuration adopts its own: what it does not name keeps nothing.
    mutating func retireAll() {
        for i in endpoints.indices { endpoints[i].keepalive = 0 }
    }
    func keepaliveNanoseconds(_ endpoint: Int32) -> UInt64 { endpoints[Int(endpoint)].keepaliveNanoseconds }

    func session(of endpoint: Int32) -> ResumableSession? { endpoints[Int(endpoint)].session }
    mutating func keep(_ session: ResumableSession, of endpoint: Int32) { endpoints[Int(endpoint)].session = session }

    mutating func take(_ endpoint: Int32, from upstreams: inout SlotTable<ClientConnection>) -> SlotID? {
        if endpoints[Int(endpoint)].isFramed { return takeShared(Int(endpoint), &upstreams) }
        guard let id = endpoints[Int(endpoint)].idle.popLast() else { return nil }
        upstreams[id].place = -1
        return id
    }
    /// The first that has room: requests that share a connection share its writes.
    private mutating func takeShared(_ i: Int, _ upstreams: inout SlotTable<ClientConnection>) -> SlotID? {
        for id in endpoints[i].shared {
            if upstreams[id].hasReceived { endpoints[i].streamLimit = upstreams[id].streamLimit }
            if upstreams[id].takesRequests && upstreams[id].requests < endpoints[i].keepaliveRequests
                && upstreams[id].streamCount < endpoints[i].streamLimit
            {
                return id
            }
        }
        return nil
    }
    func isShared(_ endpoint: Int32) -> Bool { endpoints[Int(endpoint)].isFramed }
    /// A new connection that others may use, too.
    mutating func share(_ id: SlotID, of endpoint: Int32) { endpoints[Int(endpoint)].shared.append(id) }
    /// A connection without requests may wait for the next one.
    func keepsShared(_ id: SlotID, in upstreams: inout SlotTable<ClientConnection>) -> Bool {
        let i = Int(upstreams[id].endpoint)
        return endpoints[i].keepalive > 0 && upstreams[id].takesRequests
            && upstreams[id].requests < endpoints[i].keepaliveRequests
    }
    /// False: the endpoint keeps no more, or the connection served its share; the caller closes it.
    mutating func put(_ id: SlotID, in upstreams: inout SlotTable<ClientConnection>) -> Bool {
        let i = Int(upstreams[id].endpoint)
        guard endpoints[i].idle.count < endpoints[i].keepalive,
            upstreams[id].requests < endpoints[i].keepaliveRequests
        else { return false }
        upstreams[id].place = Int32(truncatingIfNeeded: endpoints[i].idle.count)
        endpoints[i].idle.append(id)
        return true
    }
    /// Forgets a connection that is about to close; nothing when it is not idle.
    mutating func forget(_ id: SlotID, in upstreams: inout SlotTable<ClientConnection>) {
        if upstreams[id].isFramed { return endpoints[Int(upstreams[id].endpoint)].shared.removeAll { $0 == id } }
        let place = upstreams[id].place
        guard place >= 0 else { return }
        let i = Int(upstreams[id].endpoint)
        let last = endpoints[i].idle.removeLast()
        if last != id {
            endpoints[i].idle[Int(place)] = last
            upstreams[last].place = place
        }
        upstreams[id].place = -1
    }
    /// The idle connection that rested longest, of any endpoint: the first to go when descriptors are short.
    func oldestIdle(in upstreams: inout SlotTable<ClientConnection>) -> SlotID? {
        for endpoint in endpoints {
            if let id = endpoint.idle.first { return id }
            for id in endpoint.shared where upstreams[id].streamCount == 0 { return id }
        }
        return nil
    }
    /// Idle connections of endpoints that keep none any more.
    func surplus(in upstreams: inout SlotTable<ClientConnection>) -> [SlotID] {
        var surplus: [SlotID] = []
        for endpoint in endpoints where endpoint.keepalive == 0 {
            surplus += endpoint.idle
            for id in endpoint.shared where upstreams[id].streamCount == 0 { surplus.append(id) }
        }
        return surplus
    }
}
