// When an endpoint is taken out of service by checks, and the messages of the gRPC health protocol.
import Bytes
import Configuration
import Policy
import Testing

@Suite struct HealthTests {
    @Test(arguments: [(1, 1), (3, 2), (2, 3)])
    func `some answers in a row change what is thought of an endpoint`(_ fails: Int, _ passes: Int) {
        var record = HealthRecord(fails: fails, passes: passes)
        for _ in 0..<3 {
            let failed = (1...fails).map { _ in record.note(passed: false) }
            #expect(failed == (1...fails).map { $0 == fails })
            #expect(!record.isHealthy)
            let again = record.note(passed: false)
            #expect(!again)
            let passed = (1...passes).map { _ in record.note(passed: true) }
            #expect(passed == (1...passes).map { $0 == passes })
            #expect(record.isHealthy)
            let more = record.note(passed: true)
            #expect(!more)
        }
    }
    @Test func `one good answer in between begins the count anew`() {
        var record = HealthRecord(fails: 3, passes: 2)
        let early = [false, false, true, false, false, true, false, false].map { record.note(passed: $0) }
        #expect(!early.contains(true))
        #expect(record.isHealthy)
        let third = record.note(passed: false)
        #expect(third)
        let late = [true, false, true, false].map { record.note(passed: $0) }
        #expect(!late.contains(true))
        #expect(!record.isHealthy)
    }

    @Test func `a request names its service`() {
        #expect(HealthMessage.request(service: "") == [0, 0, 0, 0, 0])
        #expect(HealthMessage.request(service: "a.B") == [0, 0, 0, 0, 5, 0x0a, 3, 0x61, 0x2e, 0x42])
        let long = HealthMessage.request(service: String(repeating: "x", count: 300))
        #expect(long[..<8] == [0, 0, 0, 1, 0x2f, 0x0a, 0xac, 0x02])
        #expect(long.count == 5 + 303)
    }
    static let answers: [([UInt8], HealthMessage.Status?)] = [
        ([0, 0, 0, 0, 0], .unknown), ([0, 0, 0, 0, 2, 8, 0], .unknown), ([0, 0, 0, 0, 2, 8, 1], .serving),
        ([0, 0, 0, 0, 2, 8, 2], .notServing), ([0, 0, 0, 0, 2, 8, 3], .serviceUnknown),
        ([0, 0, 0, 0, 3, 8, 0xac, 2], .other(300)),
        // Fields that are not known, before and behind; the last one counts.
        ([0, 0, 0, 0, 6, 0x12, 2, 1, 2, 8, 1], .serving), ([0, 0, 0, 0, 4, 8, 2, 8, 1], .serving),
        ([0, 0, 0, 0, 7, 0x1d, 1, 2, 3, 4, 8, 1], .serving),
        // Compressed, too short, too long, cut, of no wire type.
        ([1, 0, 0, 0, 2, 8, 1], nil), ([0, 0, 0, 0, 3, 8, 1], nil), ([0, 0, 0, 0, 1, 8, 1], nil), ([], nil),
        ([0, 0, 0, 0, 1, 8], nil), ([0, 0, 0, 0, 2, 0x12, 200], nil), ([0, 0, 0, 0, 2, 0x0b, 1], nil),
        ([0, 0, 0, 0, 2, 0x1d, 1], nil), ([0, 0, 0, 0, 12] + [8] + [UInt8](repeating: 0xff, count: 11), nil),
    ]
    @Test(arguments: answers.indices) func `an answer tells a status or is none`(_ index: Int) {
        let (body, status) = Self.answers[index]
        #expect(HealthMessage.status(of: body) == status)
        for count in 0..<body.count { #expect(HealthMessage.status(of: Array(body[..<count])) == nil, "\(count)") }
    }

    private func group(_ count: Int, check: HealthCheck? = HealthCheck()) -> Upstream {
        var upstream = Upstream(name: "u", position: SourcePosition(file: "f", line: 1, column: 1))
        for i in 0..<count {
            upstream.endpoints.append(Endpoint(name: "e\(i)", address: .unix("/\(i)")))
        }
        upstream.healthCheck = check
        return upstream
    }
    @Test func `an unhealthy endpoint gets no requests, and a group without a healthy one none at all`() {
        let now = Instant(nanoseconds: 1)
        var balancer = LoadBalancer(group(3))
        balancer.setHealth(1, isHealthy: false)
        let asked = Set((0..<6).compactMap { _ in balancer.next(now: now, tried: 0) })
        #expect(asked == [0, 2])
        balancer.setHealth(0, isHealthy: false)
        balancer.setHealth(2, isHealthy: false)
        let none = balancer.next(now: now, tried: 0)
        #expect(none == nil)
        balancer.setHealth(1, isHealthy: true)
        let one = balancer.next(now: now, tried: 0)
        #expect(one == 1)
        balancer.setHealth(99, isHealthy: false)
        var alone = LoadBalancer(group(1))
        alone.setHealth(0, isHealthy: false)
        let nobody = alone.next(now: now, tried: 0)
        #expect(nobody == nil)
    }
    @Test func `a new configuration with the same check goes on with what is known`() {
        let now = Instant(nanoseconds: 1)
        var older = LoadBalancer(group(1))
        older.setHealth(0, isHealthy: false)
        var same = LoadBalancer(group(1))
        same.inherit(older)
        let known = same.next(now: now, tried: 0)
        #expect(known == nil)
        var unchecked = LoadBalancer(group(1, check: nil))
        unchecked.inherit(older)
        let forgotten = unchecked.next(now: now, tried: 0)
        #expect(forgotten == 0)
    }
}
