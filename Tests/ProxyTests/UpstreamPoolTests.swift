// Idle connections: who is taken first, how many are kept, and that forgetting one keeps the others' places right.
import Bytes
import Configuration
import Connections
import Glibc
import HTTP
import Reactor
import Testing
import Transport

@testable import Proxy

/// A pool with a table of connections that are never used.
private final class Pooled {
    var pool = UpstreamPool()
    var upstreams = SlotTable<ClientConnection>(capacity: 64)

    func adopt(
        _ names: [String], keepalive: Int = 4, requests: Int = 1000, timeout: Duration = .seconds(60)
    ) -> [Int32] {
        var upstream = Upstream(name: "group", position: SourcePosition(file: "test.conf", line: 1, column: 1))
        upstream.endpoints = names.map { Endpoint(name: $0, address: .unix("/run/\($0)")) }
        upstream.keepalive = keepalive
        upstream.keepaliveRequests = requests
        upstream.keepaliveTimeout = timeout
        return pool.adopt(upstream)
    }
    func connection(to endpoint: Int32) throws -> SlotID {
        let socket = Socket(owning: socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0))
        let id = upstreams.insert(ClientConnection(connecting: Stream(socket), endpoint: endpoint))
        return try #require(id)
    }
    func put(_ id: SlotID) -> Bool { pool.put(id, in: &upstreams) }
    func take(_ endpoint: Int32) -> SlotID? { pool.take(endpoint, from: &upstreams) }
    func forget(_ id: SlotID) { pool.forget(id, in: &upstreams) }
    func idle(_ endpoint: Int32) -> Int { pool.endpoints[Int(endpoint)].idle.count }
    func begin(_ id: SlotID) { upstreams[id].beginRequest(.none, isHEAD: false) }
    var surplus: [SlotID] { pool.surplus(in: &upstreams) }
    var oldestIdle: SlotID? { pool.oldestIdle(in: &upstreams) }
    func rest(_ endpoint: Int32) -> UInt64 { pool.keepaliveNanoseconds(endpoint) }
}

struct UpstreamPoolTests {
    @Test func `the connection that was used last is taken first`() throws {
        let pooled = Pooled()
        let endpoint = pooled.adopt(["a"])[0]
        var ids: [SlotID] = []
        for _ in 0..<3 { ids.append(try pooled.connection(to: endpoint)) }
        for id in ids { #expect(pooled.put(id)) }
        var taken: [SlotID] = []
        while let id = pooled.take(endpoint) { taken.append(id) }
        #expect(taken == ids.reversed())
    }

    @Test func `no more are kept than the group says`() throws {
        let pooled = Pooled()
        let endpoint = pooled.adopt(["a"], keepalive: 2)[0]
        var kept: [Bool] = []
        for _ in 0..<4 { kept.append(pooled.put(try pooled.connection(to: endpoint))) }
        #expect(kept == [true, true, false, false])
        _ = pooled.take(endpoint)
        #expect(pooled.put(try pooled.connection(to: endpoint)))
    }

    @Test func `with keepalive 0 none is kept`() throws {
        let pooled = Pooled()
        let endpoint = pooled.adopt(["a"], keepalive: 0)[0]
        #expect(!pooled.put(try pooled.connection(to: endpoint)))
    }

    @Test func `a connection that served its share is not kept`() throws {
        let pooled = Pooled()
        let endpoint = pooled.adopt(["a"], requests: 2)[0]
        let id = try pooled.connection(to: endpoint)
        pooled.begin(id)
        #expect(pooled.put(id))
        _ = pooled.take(endpoint)
        pooled.begin(id)
        #expect(!pooled.put(id))
    }

    @Test func `each endpoint has its own connections`() throws {
        let pooled = Pooled()
        let endpoints = pooled.adopt(["a", "b"])
        let id = try pooled.connection(to: endpoints[1])
        #expect(pooled.put(id))
        #expect(pooled.take(endpoints[0]) == nil && pooled.take(endpoints[1]) == id)
    }

    @Test func `a known endpoint keeps its number and its connections through a reload`() throws {
        let pooled = Pooled()
        let old = pooled.adopt(["a", "b"])
        let id = try pooled.connection(to: old[1])
        #expect(pooled.put(id))
        pooled.pool.retireAll()
        let new = pooled.adopt(["b", "c"], timeout: .seconds(7))
        #expect(new[0] == old[1] && !old.contains(new[1]))
        #expect(pooled.rest(new[0]) == 7_000_000_000)
        #expect(pooled.take(new[0]) == id)
    }

    @Test func `connections of endpoints that are named no more are surplus`() throws {
        let pooled = Pooled()
        let old = pooled.adopt(["a", "b"])
        var ids: [SlotID] = []
        for endpoint in old { ids.append(try pooled.connection(to: endpoint)) }
        for id in ids { #expect(pooled.put(id)) }
        #expect(pooled.surplus == [])
        pooled.pool.retireAll()
        _ = pooled.adopt(["b"])
        #expect(pooled.surplus == [ids[0]])
    }

    @Test func `the first to go is one that rested longest`() throws {
        let pooled = Pooled()
        let endpoint = pooled.adopt(["a"])[0]
        #expect(pooled.oldestIdle == nil)
        var ids: [SlotID] = []
        for _ in 0..<3 { ids.append(try pooled.connection(to: endpoint)) }
        for id in ids { #expect(pooled.put(id)) }
        #expect(pooled.oldestIdle == ids[0])
    }

    @Test func `forgetting one that is not idle changes nothing`() throws {
        let pooled = Pooled()
        let endpoint = pooled.adopt(["a"])[0]
        let idle = try pooled.connection(to: endpoint), busy = try pooled.connection(to: endpoint)
        #expect(pooled.put(idle))
        pooled.forget(busy)
        #expect(pooled.idle(endpoint) == 1 && pooled.take(endpoint) == idle)
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `random use agrees with a set`(seed: UInt64) throws {
        var random = seed
        func below(_ n: Int) -> Int {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(random >> 33) % n
        }
        let pooled = Pooled()
        let endpoint = pooled.adopt(["a"], keepalive: 20)[0]
        var busy: [SlotID] = []
        for _ in 0..<30 { busy.append(try pooled.connection(to: endpoint)) }
        var idle: Set<Int32> = []
        for step in 0..<3000 {
            switch below(3) {
            case 0 where !busy.isEmpty:
                let id = busy.remove(at: below(busy.count))
                let isKept = pooled.put(id)
                #expect(isKept == (idle.count < 20), "seed \(seed), step \(step)")
                if isKept { idle.insert(id.index) } else { busy.append(id) }
            case 1:
                let taken = pooled.take(endpoint)
                #expect((taken == nil) == idle.isEmpty, "seed \(seed), step \(step)")
                if let taken {
                    #expect(idle.remove(taken.index) != nil, "seed \(seed), step \(step)")
                    busy.append(taken)
                }
            default:
                guard let index = idle.sorted().dropFirst(below(max(1, idle.count))).first else { continue }
                let occupant = pooled.upstreams.occupant(index)
                let id = try #require(occupant)
                pooled.forget(id)
                idle.remove(index)
                busy.append(id)
            }
            let count = pooled.idle(endpoint)
            #expect(count == idle.count, "seed \(seed), step \(step)")
        }
    }
}
