// When the keys of one source are fetched, and how long they serve. Pure: it is told what happened and when, and says what
// to do.
import Bytes
import Configuration
import JOSE
import Policy
import Telemetry

struct KeySetRefresher {
    /// What became of the source's keys.
    enum Verdict: Equatable {
        case nothing
        case install(JSONWebKeySet)
        /// The last good keys are older than `stale_if_error` allows.
        case withdraw
    }
    private static let second: UInt64 = 1_000_000_000
    /// The first pause after a failure doubles up to this.
    private static let longestPause = 60 * second
    /// Seconds for which a server may have its keys used before they are fetched again: less would be load without use, more
    /// would keep a withdrawn key for days.
    private static let lives: ClosedRange<UInt64> = 60...86_400

    let source: KeySource
    private let fetching: KeyFetching
    /// The last good ones; nil: none to be had.
    private(set) var fetched: JSONWebKeySet?
    private(set) var isFetching = false
    /// What is being fetched may be what was to be forgotten.
    private var isDiscarding = false
    /// When the last attempt began.
    private(set) var begunAt: Instant
    private var nextAt: Instant
    private var failures: UInt64 = 0
    /// In words, until keys come.
    private(set) var lastFailure: String?
    /// Until when the last good keys are as good as new.
    private var freshUntil: Instant
    /// Until when they serve though their source is down.
    private var servesUntil: Instant
    private(set) var fetches: UInt64 = 0
    /// By reason, in the order of the reasons.
    private(set) var errors = [UInt64](repeating: 0, count: FetchFailure.Reason.allCases.count)
    private(set) var lastSuccessWallSeconds: Int64?

    init(_ source: KeySource, _ fetching: KeyFetching, now: Instant) {
        self.source = source
        self.fetching = fetching
        nextAt = now
        begunAt = now
        freshUntil = now
        servesUntil = now
    }
    /// Takes over what an older refresher of the same source knows.
    mutating func inherit(_ older: KeySetRefresher) {
        guard older.source == source else { return }
        fetched = older.fetched
        // What runs for the older one is not listened to.
        nextAt = older.isFetching ? older.begunAt : older.nextAt
        failures = older.failures
        freshUntil = older.freshUntil
        servesUntil = Instant(nanoseconds: freshUntil.nanoseconds + fetching.staleIfError.nanoseconds)
        if older.fetching.staleIfError == fetching.staleIfError { servesUntil = older.servesUntil }
        fetches = older.fetches
        errors = older.errors
        lastSuccessWallSeconds = older.lastSuccessWallSeconds
    }
    /// Takes keys that an earlier process kept, so many seconds ago; false when they are too old to be used.
    mutating func restore(_ kept: JSONWebKeySet, age: UInt64, wallSeconds: Int64, now: Instant) -> Bool {
        let life = fetching.refresh.nanoseconds
        let old = age.multipliedReportingOverflow(by: Self.second)
        guard !old.overflow, old.partialValue <= life + fetching.staleIfError.nanoseconds else { return false }
        fetched = kept
        // Instants begin when the machine started, which may be later than when these keys stopped being fresh.
        freshUntil = Instant(nanoseconds: now.nanoseconds + life - min(old.partialValue, now.nanoseconds + life))
        servesUntil = Instant(
            nanoseconds: now.nanoseconds + life + fetching.staleIfError.nanoseconds - old.partialValue)
        lastSuccessWallSeconds = wallSeconds
        return true
    }

    /// The time has come, or somebody wants them now.
    func isDue(now: Instant) -> Bool { !isFetching && now >= nextAt }
    /// The caller fetches and reports with `finished`.
    mutating func begin(now: Instant) {
        isFetching = true
        begunAt = now
        fetches += 1
    }
    /// Whether a result that comes now is made use of.
    var isListening: Bool { isFetching && !isDiscarding }
    /// - Parameter random: 0 to 255, spreads the fetches of many gateways.
    mutating func finished(_ result: KeyFetchResult, now: Instant, wallSeconds: Int64, random: UInt8) -> Verdict {
        isFetching = false
        if isDiscarding {
            isDiscarding = false
            nextAt = now
            return .nothing
        }
        switch result {
        case .keys(let keys):
            failures = 0
            lastFailure = nil
            lastSuccessWallSeconds = wallSeconds
            let life = life(keys)
            freshUntil = Instant(nanoseconds: now.nanoseconds + life)
            servesUntil = Instant(nanoseconds: freshUntil.nanoseconds + fetching.staleIfError.nanoseconds)
            nextAt = Instant(nanoseconds: now.nanoseconds + jittered(life / 5 * 4, random))
            let isNew = fetched != keys.set
            fetched = keys.set
            return isNew ? .install(keys.set) : .nothing
        case .failed(let failure):
            if let i = FetchFailure.Reason.allCases.firstIndex(of: failure.reason) { errors[i] += 1 }
            let pause = min(Self.longestPause, Self.second << min(failures, 6))
            failures += 1
            lastFailure = failure.text
            nextAt = Instant(nanoseconds: now.nanoseconds + jittered(pause, random))
            return .nothing
        }
    }
    private func life(_ keys: FetchedKeys) -> UInt64 {
        guard let seconds = keys.lifeSeconds else { return fetching.refresh.nanoseconds }
        return min(max(seconds, Self.lives.lowerBound), Self.lives.upperBound) * Self.second
    }
    /// Keys that outlived their source are withdrawn once.
    mutating func expire(now: Instant) -> Verdict {
        guard fetched != nil, failures > 0, now > servesUntil else { return .nothing }
        fetched = nil
        return .withdraw
    }
    /// Forgets the keys; new ones are fetched at once, from now on.
    mutating func purge(now: Instant) {
        isDiscarding = isFetching
        fetched = nil
        failures = 0
        lastSuccessWallSeconds = nil
        nextAt = now
    }
    /// They serve beyond their time because their source is down.
    func isStale(now: Instant) -> Bool { fetched != nil && failures > 0 && now > freshUntil }

    /// Between 90 % and 100 %.
    private func jittered(_ nanoseconds: UInt64, _ random: UInt8) -> UInt64 {
        nanoseconds - nanoseconds / 10 * UInt64(random) / 256
    }
}
