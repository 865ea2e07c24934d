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

private func source(_ target: String = "/jwks") throws -> KeySource {
    KeySource(.keys, try WebAddress("http://127.0.0.1:1\(target)"))
}
private func refresher(_ target: String = "/jwks") throws -> KeySetRefresher {
    var fetching = KeyFetching()
    fetching.refresh = .seconds(600)
    fetching.staleIfError = .seconds(3600)
    return KeySetRefresher(try source(target), fetching, now: at(0))
}
private let down = KeyFetchResult.failed(FetchFailure(.unreachable, "down"))
private func good(_ ids: String..., life: UInt64? = nil) -> KeyFetchResult {
    .keys(FetchedKeys(set: JSONWebKeySet(keys: ids.map(key)), document: [], lifeSeconds: life))
}

extension KeySetRefresher {
    /// An attempt that begins and ends at that time.
    fileprivate mutating func attempt(_ result: KeyFetchResult, at seconds: UInt64, random: UInt8 = 0) -> Verdict? {
        guard isDue(now: at(seconds)) else { return nil }
        begin(now: at(seconds))
        return finished(result, now: at(seconds), wallSeconds: Int64(seconds), random: random)
    }
    /// The first whole second from `start` in which it fetches.
    fileprivate func nextFetch(after start: UInt64) -> UInt64? {
        (start...start + 100_000).first { isDue(now: at($0)) }
    }
}

struct KeySetRefresherTests {
    @Test func `keys are fetched at once, and one attempt runs at a time`() throws {
        var refresher = try refresher()
        #expect(refresher.isDue(now: at(0)))
        refresher.begin(now: at(0))
        #expect(!refresher.isDue(now: at(5)) && refresher.isFetching && refresher.fetches == 1)
    }

    @Test func `new keys are installed and counted`() throws {
        var refresher = try refresher()
        #expect(refresher.attempt(good("a", "b"), at: 0) == .install(keys("a", "b")))
        #expect(refresher.lastSuccessWallSeconds == 0)
        #expect(refresher.fetched == keys("a", "b"))
    }

    @Test func `they are fetched again at 80 percent of their time, some gateways a little earlier`() throws {
        var plain = try refresher()
        _ = plain.attempt(good("a"), at: 0)
        #expect(plain.nextFetch(after: 0) == 480)
        var early = try refresher()
        _ = early.attempt(good("a"), at: 0, random: 255)
        let next = early.nextFetch(after: 0) ?? 0
        #expect((432...434).contains(next))
    }

    @Test func `an unchanged set is not installed again, a changed one is`() throws {
        var refresher = try refresher()
        _ = refresher.attempt(good("a"), at: 0)
        #expect(refresher.attempt(good("a"), at: 480) == .nothing)
        #expect(refresher.lastSuccessWallSeconds == 480)
        #expect(refresher.attempt(good("b"), at: 960) == .install(keys("b")))
    }

    @Test func `pauses after failures double from one second to sixty`() throws {
        var refresher = try refresher()
        var now: UInt64 = 0
        var pauses: [UInt64] = []
        for _ in 0..<10 {
            #expect(refresher.attempt(down, at: now) == .nothing)
            let next = refresher.nextFetch(after: now) ?? 0
            pauses.append(next - now)
            now = next
        }
        #expect(pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60])
        #expect(refresher.errors.reduce(0, +) == 10)
        #expect(refresher.errors[2] == 10 && FetchFailure.Reason.allCases[2] == .unreachable)
    }

    @Test(arguments: [0, 1, 128, 254, 255] as [UInt8])
    func `a pause is spread between 90 and 100 percent`(random: UInt8) throws {
        var refresher = try refresher()
        var now: UInt64 = 0
        for _ in 0..<7 {
            _ = refresher.attempt(down, at: now, random: random)
            now += 60
        }
        let last = now - 60
        #expect(!refresher.isDue(now: at(last + 53)))
        #expect(refresher.isDue(now: at(last + 60)))
    }

    @Test func `a success ends the pauses`() throws {
        var refresher = try refresher()
        for now in [0, 1, 3] as [UInt64] { _ = refresher.attempt(down, at: now) }
        #expect(refresher.attempt(good("a"), at: 7) == .install(keys("a")))
        #expect(refresher.attempt(down, at: 487) == .nothing)
        #expect(refresher.nextFetch(after: 487) == 488)
    }

    @Test func `the last good keys serve for their time and stale_if_error, and are withdrawn once`() throws {
        var refresher = try refresher()
        _ = refresher.attempt(good("a"), at: 0)
        #expect(refresher.attempt(down, at: 480) == .nothing)
        #expect(refresher.expire(now: at(600 + 3600)) == .nothing)
        #expect(refresher.fetched == keys("a"))
        #expect(refresher.expire(now: at(600 + 3601)) == .withdraw)
        #expect(refresher.expire(now: at(600 + 3602)) == .nothing)
        #expect(refresher.fetched == nil)
    }

    @Test func `keys do not expire while their source answers`() throws {
        var refresher = try refresher()
        _ = refresher.attempt(good("a"), at: 0)
        #expect(refresher.expire(now: at(1_000_000)) == .nothing)
    }

    @Test func `keys come back after they were withdrawn, even the same ones`() throws {
        var refresher = try refresher()
        _ = refresher.attempt(good("a"), at: 0)
        _ = refresher.attempt(down, at: 480)
        _ = refresher.expire(now: at(10_000))
        #expect(refresher.attempt(good("a"), at: 10_000) == .install(keys("a")))
    }

    @Test func `a reload goes on where the older refresher was`() throws {
        var old = try refresher()
        _ = old.attempt(good("a"), at: 0)
        var new = try refresher()
        new.inherit(old)
        #expect(
            new.fetched == keys("a") && new.fetches == 1 && new.lastSuccessWallSeconds == 0
                && new.nextFetch(after: 0) == 480)
    }

    @Test func `a fetch that runs while a reload comes is begun again`() throws {
        var old = try refresher()
        old.begin(now: at(0))
        var new = try refresher()
        new.inherit(old)
        #expect(new.isDue(now: at(0)), "the older one's answer will not be listened to")
    }

    @Test func `another source inherits nothing`() throws {
        var old = try refresher()
        _ = old.attempt(good("a"), at: 0)
        var new = try refresher("/other")
        new.inherit(old)
        #expect(new.fetched == nil && new.nextFetch(after: 0) == 0)
    }

    @Test(
        arguments: [
            (nil, 480), (0, 48), (1, 48), (60, 48), (100, 80), (600, 480), (3600, 2880), (86_400, 69_120),
            (.max, 69_120),
        ] as [(UInt64?, UInt64)])
    func `what the server says of their life counts, from a minute to a day`(life: UInt64?, next: UInt64) throws {
        var refresher = try refresher()
        _ = refresher.attempt(good("a", life: life), at: 0)
        #expect(refresher.nextFetch(after: 0) == next)
    }

    @Test func `keys are stale once their time is over and their source is down, until it answers`() throws {
        var refresher = try refresher()
        _ = refresher.attempt(good("a"), at: 0)
        #expect(!refresher.isStale(now: at(601)), "nothing has failed")
        _ = refresher.attempt(down, at: 601)
        #expect(!refresher.isStale(now: at(600)) && refresher.isStale(now: at(601)))
        _ = refresher.attempt(good("a"), at: 700)
        #expect(!refresher.isStale(now: at(701)))
    }

    @Test func `kept keys serve as long as if the process had never ended`() throws {
        var refresher = try refresher()
        #expect(refresher.restore(keys("a"), age: 4000, wallSeconds: 17, now: at(50)) == true)
        #expect(refresher.fetched == keys("a") && refresher.lastSuccessWallSeconds == 17)
        #expect(refresher.attempt(down, at: 50) == .nothing, "they are fetched at once")
        #expect(refresher.isStale(now: at(51)))
        #expect(refresher.expire(now: at(50 + 200)) == .nothing)
        #expect(refresher.expire(now: at(50 + 201)) == .withdraw)
    }

    @Test func `fresh kept keys are not stale, and too old ones are not taken`() throws {
        var refresher = try refresher()
        #expect(refresher.restore(keys("a"), age: 4201, wallSeconds: 0, now: at(10_000)) == false)
        #expect(refresher.fetched == nil)
        #expect(refresher.restore(keys("a"), age: .max, wallSeconds: 0, now: at(10_000)) == false)
        #expect(refresher.restore(keys("a"), age: 100, wallSeconds: 0, now: at(10_000)) == true)
        _ = refresher.attempt(down, at: 10_000)
        #expect(!refresher.isStale(now: at(10_500)) && refresher.isStale(now: at(10_501)))
        #expect(refresher.expire(now: at(10_000 + 4100)) == .nothing)
        #expect(refresher.expire(now: at(10_000 + 4101)) == .withdraw)
    }

    @Test func `what was being fetched when keys were purged may be the same ones: it is fetched anew`() throws {
        var refresher = try refresher()
        refresher.begin(now: at(0))
        #expect(refresher.isListening)
        refresher.purge(now: at(1))
        #expect(!refresher.isListening && !refresher.isDue(now: at(1)))
        #expect(refresher.finished(good("a"), now: at(2), wallSeconds: 2, random: 0) == .nothing)
        #expect(refresher.fetched == nil && refresher.isDue(now: at(2)))
        #expect(refresher.attempt(good("b"), at: 2) == .install(keys("b")))
    }

    @Test func `a purge forgets the keys and fetches at once`() throws {
        var refresher = try refresher()
        _ = refresher.attempt(good("a"), at: 0)
        refresher.purge(now: at(5))
        #expect(refresher.fetched == nil && refresher.isDue(now: at(5)) && refresher.lastSuccessWallSeconds == nil)
        #expect(refresher.attempt(good("a"), at: 5) == .install(keys("a")))
    }
}
