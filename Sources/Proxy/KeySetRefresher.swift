// When a provider's keys are fetched, and how long they serve. Pure: it is told what happened and when, and says what
// to do.
import Bytes
import Configuration
import JOSE
import Policy
import Telemetry

/// What one attempt to fetch keys brought.
enum KeyFetchResult: Sendable {
    case keys(JSONWebKeySet)
    /// In words, without secrets.
    case failed(String)
}

struct KeySetRefresher {
    /// What the workers are to be told.
    enum Verdict: Equatable {
        case nothing
        case install(JSONWebKeySet)
        /// The last good keys are older than `stale_if_error` allows.
        case withdraw
    }
    private static let second: UInt64 = 1_000_000_000
    /// The first pause after a failure doubles up to this.
    private static let longestPause = 60 * second

    let provider: String
    let source: KeySource
    /// A fetch that began under another generation is not listened to.
    let generation: Int
    /// The last good ones; nil: none to be had. Local keys are the workers' own business.
    private(set) var fetched: JSONWebKeySet?
    private(set) var isFetching = false
    private var nextAt: Instant
    private var failures: UInt64 = 0
    private var lastSuccess: Instant?
    /// When the last fetch ended, however it did.
    private var lastEnd: Instant?
    /// How long after a fetch no unknown key makes another.
    private let cooldown: Duration
    private(set) var gauges: KeySetGauges

    init(_ provider: AuthProvider, _ source: KeySource, generation: Int, now: Instant) {
        self.provider = provider.name
        self.source = source
        self.generation = generation
        if case .refetch(_, let cooldown) = provider.unknownKeys { self.cooldown = cooldown } else { cooldown = .zero }
        nextAt = now
        gauges = KeySetGauges(provider: provider.name)
    }
    /// Takes over what an older refresher of the same source knows.
    mutating func inherit(_ older: KeySetRefresher) {
        guard older.source == source else { return }
        fetched = older.fetched
        nextAt = older.nextAt
        failures = older.failures
        lastSuccess = older.lastSuccess
        lastEnd = older.lastEnd
        gauges = older.gauges
    }

    /// A request waits for a key that is not here: a fetch begins at once, or nil. Else until when there will be none: a flood
    /// of tokens with invented keys must not become a flood of fetches.
    mutating func want(now: Instant) -> Instant? {
        if isFetching { return nil }
        if let end = noFetchBefore, now < end { return end }
        nextAt = now
        return nil
    }
    var noFetchBefore: Instant? { lastEnd.map { Instant(nanoseconds: $0.nanoseconds &+ cooldown.nanoseconds) } }

    /// True once when it is time; the caller fetches and reports with `finished`.
    mutating func begin(now: Instant) -> Bool {
        guard !isFetching, now >= nextAt else { return false }
        isFetching = true
        gauges.fetches += 1
        return true
    }
    /// - Parameter random: 0 to 255, spreads the fetches of many gateways.
    mutating func finished(_ result: KeyFetchResult, now: Instant, wallSeconds: Int64, random: UInt8) -> Verdict {
        isFetching = false
        lastEnd = now
        switch result {
        case .keys(let set):
            failures = 0
            lastSuccess = now
            gauges.lastSuccessWallSeconds = wallSeconds
            gauges.keys = set.keys.count
            nextAt = Instant(nanoseconds: now.nanoseconds + jittered(source.refresh.nanoseconds / 5 * 4, random))
            let isNew = fetched != set
            fetched = set
            return isNew ? .install(set) : .nothing
        case .failed:
            gauges.fetchErrors += 1
            let pause = min(Self.longestPause, Self.second << min(failures, 6))
            failures += 1
            nextAt = Instant(nanoseconds: now.nanoseconds + jittered(pause, random))
            return .nothing
        }
    }
    /// Keys that outlived their source are withdrawn once.
    mutating func expire(now: Instant) -> Verdict {
        guard fetched != nil, failures > 0, let lastSuccess else { return .nothing }
        let life = source.refresh.nanoseconds &+ source.staleIfError.nanoseconds
        guard now.nanoseconds &- lastSuccess.nanoseconds > life else { return .nothing }
        fetched = nil
        gauges.keys = 0
        return .withdraw
    }
    /// Between 90 % and 100 %.
    private func jittered(_ nanoseconds: UInt64, _ random: UInt8) -> UInt64 {
        nanoseconds - nanoseconds / 10 * UInt64(random) / 256
    }
}
