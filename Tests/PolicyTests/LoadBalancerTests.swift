// Whose turn it is: the order of smooth weighted round robin, and who is left out for how long.
import Bytes
import Configuration
import Policy
import Testing

private let second: UInt64 = 1_000_000_000

private func group(_ endpoints: [(name: String, change: (inout Endpoint) -> Void)]) -> Upstream {
    var upstream = Upstream(name: "group", position: SourcePosition(file: "test.conf", line: 1, column: 1))
    upstream.endpoints = endpoints.map { name, change in
        var endpoint = Endpoint(name: name, address: .unix("/run/\(name)"))
        change(&endpoint)
        return endpoint
    }
    return upstream
}
private func group(weights: [Int]) -> Upstream {
    group(weights.enumerated().map { i, weight in ("\(i)", { $0.weight = weight }) })
}

extension LoadBalancer {
    /// The next `count` turns as letters, at `seconds`; `-` for nobody.
    fileprivate mutating func turns(_ count: Int, at seconds: UInt64 = 0, tried: UInt64 = 0) -> String {
        var letters = ""
        for _ in 0..<count {
            let peer = next(now: Instant(nanoseconds: seconds * second), tried: tried)
            letters.append(peer.map { Character(UnicodeScalar(UInt8(97 + $0))) } ?? "-")
        }
        return letters
    }
    fileprivate mutating func fail(_ peer: Int, at seconds: UInt64) {
        failed(peer, now: Instant(nanoseconds: seconds * second))
    }
}

struct LoadBalancerTests {
    @Test(
        arguments: [
            ([5, 1, 1], "aabacaa" + "aabacaa"), ([1, 1, 1], "abcabc"), ([1], "aaaa"), ([2, 1], "abaaba"),
            ([4, 3, 2], "abcabacba"),
        ])
    func `turns are taken as nginx takes them`(weights: [Int], expected: String) {
        var balancer = LoadBalancer(group(weights: weights))
        #expect(balancer.turns(expected.count) == expected)
    }

    @Test(arguments: [[5, 1, 1], [3, 7], [1, 2, 3, 4, 5]])
    func `each round gives every endpoint its weight`(weights: [Int]) {
        var balancer = LoadBalancer(group(weights: weights))
        let round = weights.reduce(0, +)
        for _ in 0..<3 {
            let turns = balancer.turns(round)
            let counts = weights.indices.map { i in turns.filter { $0 == Character(UnicodeScalar(UInt8(97 + i))) }.count
            }
            #expect(counts == weights)
        }
    }

    @Test func `an endpoint that was tried is not asked again for the same request`() {
        var balancer = LoadBalancer(group(weights: [1, 1, 1]))
        #expect(balancer.turns(4, tried: 0b001) == "bcbc")
        #expect(balancer.turns(2, tried: 0b011) == "cc")
        #expect(balancer.turns(1, tried: 0b111) == "-")
    }

    @Test func `an endpoint that is down is never asked`() {
        var balancer = LoadBalancer(group([("a", { $0.isDown = true }), ("b", { _ in })]))
        #expect(balancer.turns(3) == "bbb")
        #expect(balancer.turns(1, tried: 0b10) == "-")
        var alone = LoadBalancer(group([("a", { $0.isDown = true })]))
        #expect(alone.turns(1) == "-")
    }

    @Test func `an endpoint that failed often enough is left out for its time`() {
        var balancer = LoadBalancer(
            group([
                (
                    "a",
                    {
                        $0.maxFails = 2
                        $0.failTimeout = .seconds(10)
                    }
                ), ("b", { _ in }),
            ]))
        balancer.fail(0, at: 100)
        #expect(balancer.turns(2, at: 100) == "ab")
        balancer.fail(0, at: 105)
        #expect(balancer.turns(3, at: 105) == "bbb")
        #expect(balancer.turns(3, at: 114) == "bbb")
        #expect(balancer.turns(4, at: 115).contains("a"))
    }

    @Test func `failures further apart than the time do not add up`() {
        var balancer = LoadBalancer(
            group([
                (
                    "a",
                    {
                        $0.maxFails = 2
                        $0.failTimeout = .seconds(10)
                    }
                ), ("b", { _ in }),
            ]))
        balancer.fail(0, at: 100)
        balancer.fail(0, at: 111)
        #expect(balancer.turns(2, at: 111).contains("a"))
        balancer.fail(0, at: 112)
        #expect(balancer.turns(2, at: 112) == "bb")
    }

    @Test func `an answer makes earlier failures forgotten`() {
        var balancer = LoadBalancer(group([("a", { $0.maxFails = 2 }), ("b", { _ in })]))
        balancer.fail(0, at: 100)
        balancer.succeeded(0)
        balancer.fail(0, at: 101)
        #expect(balancer.turns(2, at: 101).contains("a"))
    }

    @Test func `with max_fails 0 nobody is ever left out`() {
        var balancer = LoadBalancer(group([("a", { $0.maxFails = 0 }), ("b", { _ in })]))
        for time in 100..<200 { balancer.fail(0, at: UInt64(time)) }
        #expect(balancer.turns(2, at: 200) == "ab")
    }

    @Test func `the only endpoint of a group is never left out`() {
        var balancer = LoadBalancer(group(weights: [1]))
        for time in 100..<200 { balancer.fail(0, at: UInt64(time)) }
        #expect(balancer.turns(3, at: 200) == "aaa")
        #expect(balancer.turns(1, at: 200, tried: 1) == "-")
    }

    @Test func `when all are left out there is nobody until one's time is over`() {
        var balancer = LoadBalancer(group(weights: [1, 1]))
        balancer.fail(0, at: 100)
        balancer.fail(1, at: 103)
        #expect(balancer.turns(2, at: 104) == "--")
        #expect(balancer.turns(2, at: 110) == "aa")
        let turns = balancer.turns(4, at: 113)
        #expect(turns.contains("a") && turns.contains("b"))
    }

    @Test func `a reload goes on with the turns and the failures of before`() {
        let endpoints = group(weights: [5, 1, 1])
        var old = LoadBalancer(endpoints)
        _ = old.turns(3)
        old.fail(1, at: 100)
        var new = LoadBalancer(endpoints)
        new.inherit(old)
        let asBefore = old.turns(7, at: 101)
        #expect(new.turns(7, at: 101) == asBefore && !asBefore.contains("b"))
    }

    @Test func `another number of endpoints inherits nothing`() {
        var old = LoadBalancer(group(weights: [1, 1]))
        old.fail(0, at: 100)
        var new = LoadBalancer(group(weights: [1, 1, 1]))
        new.inherit(old)
        #expect(new.turns(3, at: 101) == "abc")
    }

    @Test func `sixty-four endpoints all have their turn`() {
        var balancer = LoadBalancer(group(weights: [Int](repeating: 1, count: Upstream.maximumEndpoints)))
        var met: Set<Int> = []
        var tried: UInt64 = 0
        while let peer = balancer.next(now: Instant(nanoseconds: 0), tried: tried) {
            met.insert(peer)
            tried |= 1 << UInt64(peer)
        }
        #expect(met == Set(0..<64))
    }
}
