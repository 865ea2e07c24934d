// Several sources of one provider, and wishes for keys that are not here: how many fetches, and who is told what.
import Bytes
import Configuration
import JOSE
import Telemetry
import Testing

@testable import Proxy

private let milliseconds: UInt64 = 1_000_000
private func at(_ seconds: Double) -> Instant { Instant(nanoseconds: UInt64(seconds * 1000) * milliseconds) }
private func set(_ ids: String..., partial: Bool = false) -> JSONWebKeySet {
    var set = JSONWebKeySet(keys: ids.map { JSONWebKey(.ed25519([UInt8](repeating: 1, count: 32)), id: $0) })
    set.isPartial = partial
    return set
}
private func good(_ ids: String...) -> KeyFetchResult {
    let keys = ids.map { JSONWebKey(.ed25519([UInt8](repeating: 1, count: 32)), id: $0) }
    return .keys(FetchedKeys(set: JSONWebKeySet(keys: keys), document: []))
}
private let down = KeyFetchResult.failed(FetchFailure(.timeout, "timed out"))

private func provider(
    _ count: Int = 1, _ policy: UnknownKeyPolicy = .refetch(wait: .milliseconds(500), cooldown: .seconds(30))
) throws -> ProviderKeys {
    var provider = AuthProvider(name: "main", position: SourcePosition(file: "test.conf", line: 1, column: 1))
    provider.keySources = try (0..<count).map { KeySource(.keys, try WebAddress("http://127.0.0.1:1/\($0)")) }
    provider.keyFetching.staleIfError = .seconds(60)
    provider.unknownKeys = policy
    return ProviderKeys(provider, generation: 1, now: at(0))
}

extension ProviderKeys {
    fileprivate mutating func finish(_ i: Int, _ result: KeyFetchResult, _ seconds: Double) -> Verdict {
        finished(i, result, now: at(seconds), wallSeconds: Int64(seconds), random: 0)
    }
    /// What comes of a wish, and how many fetches begin for it.
    fileprivate mutating func wish(_ seconds: Double, version: Int? = nil) -> (Wish, Int) {
        var begun: [Int] = []
        let wish = want(version: version ?? self.version, now: at(seconds), begun: &begun)
        return (wish, begun.count)
    }
    fileprivate mutating func settled(_ seconds: Double, hasNewKeys: Bool = false) -> (Bool, Int) {
        var begun: [Int] = []
        let isSettled = settle(hasNewKeys: hasNewKeys, now: at(seconds), begun: &begun)
        return (isSettled, begun.count)
    }
}

struct ProviderKeysTests {
    // Several sources

    @Test func `the keys of all sources count, and the set is partial until each has answered`() throws {
        var keys = try provider(3)
        #expect(keys.beginDue(now: at(0)) == [0, 1, 2])
        #expect(keys.beginDue(now: at(0)) == [])
        #expect(keys.finish(1, good("b"), 0) == .install(set("b", partial: true)))
        #expect(keys.finish(2, down, 0) == .nothing)
        #expect(keys.finish(0, good("a"), 0) == .install(set("a", "b", partial: true)))
        #expect(keys.beginDue(now: at(1)) == [2], "each has a schedule of its own")
        #expect(keys.finish(2, good("c"), 1) == .install(set("a", "b", "c")))
    }

    @Test func `a source that fails keeps its own last good keys, up to its own ceiling`() throws {
        var keys = try provider(2)
        _ = keys.beginDue(now: at(0))
        _ = keys.finish(0, good("a"), 0)
        _ = keys.finish(1, good("b"), 0)
        #expect(keys.beginDue(now: at(480)) == [0, 1])
        #expect(keys.finish(0, down, 480) == .nothing)
        #expect(keys.finish(1, good("b", "c"), 480) == .install(set("a", "b", "c")))
        #expect(keys.expire(now: at(660)) == .nothing)
        #expect(keys.expire(now: at(661)) == .install(set("b", "c", partial: true)))
        #expect(keys.expire(now: at(662)) == .nothing)
    }

    @Test func `when the last source is too old there are none`() throws {
        var keys = try provider(1)
        _ = keys.beginDue(now: at(0))
        _ = keys.finish(0, good("a"), 0)
        _ = keys.beginDue(now: at(480))
        _ = keys.finish(0, down, 480)
        #expect(keys.expire(now: at(661)) == .withdraw)
        #expect(keys.union == nil)
    }

    @Test func `what an earlier process kept of one source is not all`() throws {
        var keys = try provider(2)
        let kept = KeyStore.Kept(set: set("a"), fetchedAt: 900)
        #expect(keys.restore(1, kept, wallSeconds: 1000, now: at(5)) == true)
        #expect(keys.union == set("a", partial: true))
        #expect(keys.restore(0, kept, wallSeconds: 900 + 661, now: at(5)) == false)
        // A clock that was set back makes nothing older.
        #expect(keys.restore(0, kept, wallSeconds: 800, now: at(5)) == true)
        #expect(keys.union == set("a", "a"))
        #expect(keys.beginDue(now: at(5)) == [0, 1])
    }

    @Test func `a purge withdraws once`() throws {
        var keys = try provider(2)
        _ = keys.beginDue(now: at(0))
        _ = keys.finish(0, good("a"), 0)
        #expect(keys.purge(now: at(1)) == .withdraw)
        #expect(keys.purge(now: at(1)) == .nothing)
        #expect(keys.beginDue(now: at(1)) == [0], "the other one is still being fetched from")
    }

    @Test func `a reload takes over the sources that stay`() throws {
        var old = try provider(3)
        _ = old.beginDue(now: at(0))
        _ = old.finish(0, good("a"), 0)
        _ = old.finish(2, good("c"), 0)
        var new = try provider(2)
        new.inherit(old)
        #expect(new.union == set("a", partial: true))
    }

    @Test func `numbers are those of all sources, the age that of the oldest`() throws {
        var keys = try provider(2)
        _ = keys.beginDue(now: at(0))
        _ = keys.finish(0, good("a", "b"), 5)
        _ = keys.finish(1, down, 5)
        _ = keys.beginDue(now: at(7))
        _ = keys.finish(1, good("c"), 7)
        let gauges = keys.gauges(local: set("x"), now: at(8))
        #expect(gauges.keys == 4 && gauges.fetches == 3 && gauges.lastSuccessWallSeconds == 5 && !gauges.isStale)
        #expect(gauges.fetchErrors.filter { $0.count > 0 } == [ReasonCount(reason: "timeout", count: 1)])
        #expect(gauges.fetchErrors.count == FetchFailure.Reason.allCases.count)
    }

    // Wishes

    /// A provider whose only source gave `a` at 0.
    private func settledProvider(_ policy: UnknownKeyPolicy? = nil) throws -> ProviderKeys {
        var keys = try policy.map { try provider(1, $0) } ?? provider()
        _ = keys.beginDue(now: at(0))
        _ = keys.finish(0, good("a"), 0)
        return keys
    }

    @Test func `a wish begins one fetch, others wait for the same`() throws {
        var keys = try settledProvider()
        #expect(keys.wish(10) == (.pending, 1))
        #expect(keys.wish(10.1) == (.pending, 0))
        #expect(keys.finish(0, good("a", "b"), 10.2) == .install(set("a", "b")))
        #expect(keys.settled(10.2, hasNewKeys: true) == (true, 0))
        #expect(keys.settled(10.2) == (false, 0))
    }

    @Test func `after it none is made for the cooldown`() throws {
        var keys = try settledProvider()
        #expect(keys.wish(10) == (.pending, 1))
        _ = keys.finish(0, good("a"), 10)
        _ = keys.settled(10)
        for tenth in 1..<300 { #expect(keys.wish(10 + Double(tenth) / 10) == (.refused, 0)) }
        #expect(keys.wish(40) == (.pending, 1))
    }

    @Test func `J35 ten thousand wishes a second cause one fetch in each cooldown`() throws {
        var keys = try settledProvider()
        var fetches = 0
        for i in 0..<60_000 {
            let (wish, begun) = keys.wish(1 + Double(i) / 1000)
            fetches += begun
            if wish == .pending, begun > 0 {
                _ = keys.finish(0, good("a"), 1 + Double(i) / 1000)
                _ = keys.settled(1 + Double(i) / 1000)
            }
        }
        #expect(fetches == 2)
    }

    @Test func `nobody waits for a fetch that takes longer than requests wait`() throws {
        var keys = try settledProvider()
        #expect(keys.wish(10) == (.pending, 1))
        #expect(keys.wish(10.499) == (.pending, 0))
        #expect(keys.wish(10.5) == (.refused, 0))
        #expect(keys.isFetching)
    }

    @Test func `a fetch that began before the wish may have been too early: one more is made`() throws {
        var keys = try settledProvider()
        #expect(keys.beginDue(now: at(480)) == [0])
        #expect(keys.wish(480.1) == (.pending, 0))
        _ = keys.finish(0, good("a"), 480.2)
        #expect(keys.settled(480.2) == (false, 1))
        _ = keys.finish(0, good("a", "b"), 480.3)
        #expect(keys.settled(480.3) == (true, 0))
        #expect(keys.wish(481) == (.refused, 0), "the cooldown counts from then")
    }

    @Test func `new keys that came by themselves are told once, and whoever wants others asks again`() throws {
        var keys = try settledProvider()
        _ = keys.beginDue(now: at(480))
        #expect(keys.wish(480.1) == (.pending, 0))
        #expect(keys.finish(0, good("b"), 480.2) == .install(set("b")))
        #expect(keys.settled(480.2, hasNewKeys: true) == (false, 0))
        #expect(keys.wish(480.2) == (.pending, 1))
    }

    @Test func `a wish of one who does not know the present keys yet begins nothing`() throws {
        var keys = try provider()
        _ = keys.beginDue(now: at(0))
        _ = keys.finish(0, good("a"), 0.1)
        #expect(keys.wish(0.1, version: 0) == (.pending, 0))
        #expect(keys.wish(0.1) == (.pending, 1), "no cooldown has begun")
    }

    @Test func `at the start requests wait for the first fetch`() throws {
        var keys = try provider()
        #expect(keys.beginDue(now: at(0)) == [0])
        #expect(keys.wish(0.1) == (.pending, 0))
        #expect(keys.finish(0, down, 0.2) == .nothing)
        #expect(keys.settled(0.2) == (false, 1), "once more, at once")
        _ = keys.finish(0, down, 0.3)
        #expect(keys.settled(0.3) == (true, 0))
        #expect(keys.wish(0.4) == (.refused, 0))
    }

    @Test func `with reject nothing is fetched and nobody waits`() throws {
        var keys = try settledProvider(.reject)
        #expect(keys.wish(10) == (.refused, 0))
        #expect(keys.beginDue(now: at(480)) == [0])
        #expect(keys.wish(480) == (.refused, 0))
    }

    @Test func `a reload does not end the cooldown`() throws {
        var old = try settledProvider()
        #expect(old.wish(0) == (.pending, 1))
        var new = try provider()
        new.inherit(old)
        #expect(new.wish(29) == (.refused, 0))
        #expect(new.wish(30) == (.pending, 1))
    }
}
