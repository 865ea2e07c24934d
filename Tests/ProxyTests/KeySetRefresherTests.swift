// When keys are fetched, how long they serve, and what the workers hear of it.
import Bytes
import Configuration
import JOSE
import Policy
import Telemetry
import Testing

@testable import Proxy

private let second: UInt64 = 1_000_000_000
private func at(_ seconds: UInt64) -> Instant { Instant(nanoseconds: seconds * second) }
private func key(_ id: String) -> JSONWebKey { JSONWebKey(.ed25519([UInt8](repeating: 1, count: 32)), id: id) }
private func keys(_ ids: String...) -> JSONWebKeySet { JSONWebKeySet(keys: ids.map(key)) }

private func source(_ target: String = "/jwks") -> KeySource {
    var source = KeySource(
        url: "http://127.0.0.1:1\(target)", isTLS: false, host: "127.0.0.1", port: 1, target: target)
    source.refresh = .seconds(600)
    source.staleIfError = .seconds(3600)
    return source
}
private func refresher(_ keySource: KeySource = source()) -> KeySetRefresher {
    let provider = AuthProvider(name: "main", position: SourcePosition(file: "test.conf", line: 1, column: 1))
    return KeySetRefresher(provider, keySource, generation: 1, now: at(0))
}

extension KeySetRefresher {
    /// An attempt that begins and ends at that time.
    fileprivate mutating func attempt(_ result: KeyFetchResult, at seconds: UInt64, random: UInt8 = 0) -> Verdict? {
        guard begin(now: at(seconds)) else { return nil }
        return finished(result, now: at(seconds), wallSeconds: Int64(seconds), random: random)
    }
    /// The first whole second from `start` in which it fetches.
    fileprivate func nextFetch(after start: UInt64) -> UInt64? {
        (start...start + 2000).first { seconds in
            var copy = self
            return copy.begin(now: at(seconds))
        }
    }
}

struct KeySetRefresherTests {
    @Test func `keys are fetched at once, and one attempt runs at a time`() {
        var refresher = refresher()
        #expect(refresher.begin(now: at(0)) == true)
        #expect(refresher.begin(now: at(5)) == false)
        #expect(refresher.gauges.fetches == 1)
    }

    @Test func `new keys are installed and counted`() {
        var refresher = refresher()
        #expect(refresher.attempt(.keys(keys("a", "b")), at: 0) == .install(keys("a", "b")))
        #expect(refresher.gauges.keys == 2 && refresher.gauges.lastSuccessWallSeconds == 0)
        #expect(refresher.fetched == keys("a", "b"))
    }

    @Test func `they are fetched again at 80 percent of their time, some gateways a little earlier`() {
        var plain = refresher()
        _ = plain.attempt(.keys(keys("a")), at: 0)
        #expect(plain.nextFetch(after: 0) == 480)
        var early = refresher()
        _ = early.attempt(.keys(keys("a")), at: 0, random: 255)
        let next = early.nextFetch(after: 0) ?? 0
        #expect((432...434).contains(next))
    }

    @Test func `an unchanged set is not installed again, a changed one is`() {
        var refresher = refresher()
        _ = refresher.attempt(.keys(keys("a")), at: 0)
        #expect(refresher.attempt(.keys(keys("a")), at: 480) == .nothing)
        #expect(refresher.gauges.lastSuccessWallSeconds == 480)
        #expect(refresher.attempt(.keys(keys("b")), at: 960) == .install(keys("b")))
    }

    @Test func `pauses after failures double from one second to sixty`() {
        var refresher = refresher()
        var now: UInt64 = 0
        var pauses: [UInt64] = []
        for _ in 0..<10 {
            #expect(refresher.attempt(.failed("down"), at: now) == .nothing)
            let next = refresher.nextFetch(after: now) ?? 0
            pauses.append(next - now)
            now = next
        }
        #expect(pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60])
        #expect(refresher.gauges.fetchErrors == 10)
    }

    @Test(arguments: [0, 1, 128, 254, 255] as [UInt8])
    func `a pause is spread between 90 and 100 percent`(random: UInt8) {
        var refresher = refresher()
        var now: UInt64 = 0
        for _ in 0..<7 {
            _ = refresher.attempt(.failed("down"), at: now, random: random)
            now += 60
        }
        let last = now - 60
        #expect(refresher.begin(now: at(last + 53)) == false)
        #expect(refresher.begin(now: at(last + 60)) == true)
    }

    @Test func `a success ends the pauses`() {
        var refresher = refresher()
        for now in [0, 1, 3] as [UInt64] { _ = refresher.attempt(.failed("down"), at: now) }
        #expect(refresher.attempt(.keys(keys("a")), at: 7) == .install(keys("a")))
        #expect(refresher.attempt(.failed("down"), at: 487) == .nothing)
        #expect(refresher.nextFetch(after: 487) == 488)
    }

    @Test func `the last good keys serve for their time and stale_if_error, and are withdrawn once`() {
        var refresher = refresher()
        _ = refresher.attempt(.keys(keys("a")), at: 0)
        #expect(refresher.attempt(.failed("down"), at: 480) == .nothing)
        #expect(refresher.expire(now: at(600 + 3600)) == .nothing)
        #expect(refresher.fetched == keys("a"))
        #expect(refresher.expire(now: at(600 + 3601)) == .withdraw)
        #expect(refresher.expire(now: at(600 + 3602)) == .nothing)
        #expect(refresher.fetched == nil && refresher.gauges.keys == 0)
    }

    @Test func `keys do not expire while their source answers`() {
        var refresher = refresher()
        _ = refresher.attempt(.keys(keys("a")), at: 0)
        #expect(refresher.expire(now: at(1_000_000)) == .nothing)
    }

    @Test func `keys come back after they were withdrawn, even the same ones`() {
        var refresher = refresher()
        _ = refresher.attempt(.keys(keys("a")), at: 0)
        _ = refresher.attempt(.failed("down"), at: 480)
        _ = refresher.expire(now: at(10_000))
        #expect(refresher.attempt(.keys(keys("a")), at: 10_000) == .install(keys("a")))
    }

    @Test func `a reload goes on where the older refresher was`() {
        var old = refresher()
        _ = old.attempt(.keys(keys("a")), at: 0)
        var new = refresher()
        new.inherit(old)
        #expect(new.fetched == keys("a") && new.gauges == old.gauges && new.nextFetch(after: 0) == 480)
    }

    @Test func `a fetch that runs while a reload comes is begun again`() {
        var old = refresher()
        #expect(old.begin(now: at(0)) == true)
        var new = refresher()
        new.inherit(old)
        #expect(new.begin(now: at(0)) == true, "the older one's answer will not be listened to")
    }

    @Test func `another source inherits nothing`() {
        var old = refresher()
        _ = old.attempt(.keys(keys("a")), at: 0)
        var new = refresher(source("/other"))
        new.inherit(old)
        #expect(new.fetched == nil && new.nextFetch(after: 0) == 0)
    }
}
