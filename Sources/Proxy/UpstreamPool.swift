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
        guard let id = endpoints[Int(endpoint)].idle.popLast() else { return nil }
        upstreams[id].place = -1
        return id
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
    func oldestIdle() -> SlotID? {
        for endpoint in endpoints { if let id = endpoint.idle.first { return id } }
        return nil
    }
    /// Idle connections of endpoints that keep none any more.
    func surplus() -> [SlotID] { endpoints.flatMap { $0.keepalive == 0 ? $0.idle : [] } }
}
