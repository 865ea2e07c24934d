// The keys of one provider: the union of what its sources gave last, and who waits for more. Pure, like the refreshers.
import Bytes
import Configuration
import JOSE
import Policy
import Telemetry

struct ProviderKeys {
    /// What the workers are to be told.
    enum Verdict: Equatable {
        case nothing
        case install(JSONWebKeySet)
        case withdraw
    }
    /// What comes of a wish for keys that are not here.
    enum Wish: Equatable {
        /// A fetch runs; its end is told.
        case pending
        /// There is nothing new, and no fetch is allowed now.
        case refused
    }

    let provider: String
    let issuer: String?
    let isInsecure: Bool
    /// See `KeyFetch`.
    let authorities: [UInt8]?
    /// `fail_start on`
    let failsStart: Bool
    /// A fetch that began under another generation is not listened to.
    let generation: Int
    private(set) var sources: [KeySetRefresher]
    /// What the workers have.
    private(set) var union: JSONWebKeySet?
    /// Counts the changes of that.
    private(set) var version = 0
    /// How long requests wait for a fetch, and how long no other one is made for them.
    private let wait: UInt64
    private let cooldown: UInt64
    private var nextWishAt: Instant
    /// Somebody waits for the fetches that run; and whether a fetch was begun for that.
    private(set) var isWanted = false
    private var wasBegunForWish = false

    init(_ provider: AuthProvider, generation: Int, now: Instant) {
        self.provider = provider.name
        issuer = provider.issuer
        isInsecure = provider.keyFetching.isInsecure
        authorities = provider.keyFetching.authorities?.certificates
        failsStart = provider.keyFetching.failsStart
        self.generation = generation
        sources = provider.keySources.map { KeySetRefresher($0, provider.keyFetching, now: now) }
        nextWishAt = now
        switch provider.unknownKeys {
        case .reject: (wait, cooldown) = (0, .max)
        case .refetch(let wait, let cooldown): (self.wait, self.cooldown) = (wait.nanoseconds, cooldown.nanoseconds)
        }
    }
    /// Takes over what is known of the sources that stay.
    mutating func inherit(_ older: ProviderKeys) {
        for i in sources.indices {
            if let known = older.sources.first(where: { $0.source == sources[i].source }) { sources[i].inherit(known) }
        }
        nextWishAt = max(nextWishAt, min(older.nextWishAt, nextWishAt.adding(cooldown)))
        union = joined
        version = older.version + 1
        isWanted = older.isWanted
    }
    /// Takes what an earlier process kept of a source; false when it is too old.
    mutating func restore(_ i: Int, _ kept: KeyStore.Kept, wallSeconds: Int64, now: Instant) -> Bool {
        let age = UInt64(max(0, wallSeconds - kept.fetchedAt))
        defer { union = joined }
        return sources[i].restore(kept.set, age: age, wallSeconds: kept.fetchedAt, now: now)
    }

    // MARK: fetching

    /// Which sources to fetch from now; the caller reports each with `finished`.
    mutating func beginDue(now: Instant) -> [Int] { begin(sources.indices.filter { sources[$0].isDue(now: now) }, now) }
    /// The same for all that are not being fetched from.
    mutating func beginAll(now: Instant) -> [Int] { begin(sources.indices.filter { !sources[$0].isFetching }, now) }
    private mutating func begin(_ chosen: [Int], _ now: Instant) -> [Int] {
        for i in chosen { sources[i].begin(now: now) }
        return chosen
    }
    var isFetching: Bool { sources.contains(where: \.isFetching) }
    /// Of the first source that has no keys, and why; nil: all have some.
    var absence: String? {
        guard let source = sources.first(where: { $0.fetched == nil }) else { return nil }
        return "\(source.source.shown): \(source.lastFailure ?? "not fetched yet")"
    }

    mutating func finished(
        _ i: Int, _ result: KeyFetchResult, now: Instant, wallSeconds: Int64, random: UInt8
    ) -> Verdict {
        verdict(sources[i].finished(result, now: now, wallSeconds: wallSeconds, random: random))
    }
    /// Keys that outlived their source.
    mutating func expire(now: Instant) -> Verdict {
        var verdict = KeySetRefresher.Verdict.nothing
        for i in sources.indices {
            let one = sources[i].expire(now: now)
            if one != .nothing { verdict = one }
        }
        return self.verdict(verdict)
    }
    mutating func purge(now: Instant) -> Verdict {
        for i in sources.indices { sources[i].purge(now: now) }
        return verdict(.withdraw)
    }
    private mutating func verdict(_ source: KeySetRefresher.Verdict) -> Verdict {
        if source == .nothing { return .nothing }
        let new = joined
        guard new != union else { return .nothing }
        union = new
        version += 1
        return new.map { .install($0) } ?? .withdraw
    }
    private var joined: JSONWebKeySet? {
        let parts = sources.compactMap(\.fetched)
        guard !parts.isEmpty else { return nil }
        var all = JSONWebKeySet()
        for part in parts { all.append(part) }
        all.isPartial = parts.count < sources.count
        return all
    }

    // MARK: wishes

    /// Somebody has a token whose key is not here. A fetch that began a moment ago is waited for; else one is begun unless
    /// the last one for a wish was within the cooldown. `begun` are the sources to fetch from; `version` is what the worker
    /// had when it wished: with an older one it has new keys before it by now, and will ask again if they are not the ones.
    mutating func want(version: Int, now: Instant, begun: inout [Int]) -> Wish {
        guard !sources.isEmpty, wait > 0 else { return .refused }
        guard version == self.version else { return .pending }
        if isFetching {
            // One that takes longer than requests wait: later requests need not wait for it in turn.
            guard sources.contains(where: { $0.isFetching && now.nanoseconds &- $0.begunAt.nanoseconds < wait }) else {
                return .refused
            }
            isWanted = true
            return .pending
        }
        guard now >= nextWishAt else { return .refused }
        begun = beginForWish(now)
        isWanted = true
        return .pending
    }
    /// Asked when a fetch ended: whether those who wait are to be told that this was all. What they want may have come to the
    /// source after a fetch had begun that was not for them; then one more is made. `begun` as above.
    mutating func settle(hasNewKeys: Bool, now: Instant, begun: inout [Int]) -> Bool {
        guard isWanted, !isFetching else { return false }
        if !wasBegunForWish, !hasNewKeys, wait > 0, now >= nextWishAt {
            begun = beginForWish(now)
            return false
        }
        defer { wasBegunForWish = false }
        isWanted = false
        // Who is not content with new keys asks again.
        return wasBegunForWish || !hasNewKeys
    }
    /// Until when no wish makes a fetch. While one runs that takes long, wishes are looked at again after a second.
    func noFetchBefore(now: Instant) -> Instant { isFetching ? now.adding(1_000_000_000) : nextWishAt }
    private mutating func beginForWish(_ now: Instant) -> [Int] {
        nextWishAt = now.adding(cooldown)
        wasBegunForWish = true
        return beginAll(now: now)
    }

    // MARK: numbers

    func gauges(local: JSONWebKeySet, now: Instant) -> KeySetGauges {
        var gauges = KeySetGauges(provider: provider)
        gauges.keys = local.keys.count + (union?.keys.count ?? 0)
        gauges.fetches = sources.reduce(0) { $0 + $1.fetches }
        gauges.fetchErrors = FetchFailure.Reason.allCases.enumerated().map { i, reason in
            ReasonCount(reason: reason.rawValue, count: sources.reduce(0) { $0 + $1.errors[i] })
        }
        gauges.isStale = sources.contains { $0.isStale(now: now) }
        // The oldest: that is the one to worry about.
        gauges.lastSuccessWallSeconds = sources.compactMap(\.lastSuccessWallSeconds).min()
        return gauges
    }
    /// Whether tokens of this provider can be judged.
    func isReady(local: JSONWebKeySet) -> Bool { union != nil || !local.keys.isEmpty }
}

extension Instant {
    fileprivate func adding(_ nanoseconds: UInt64) -> Instant {
        let sum = self.nanoseconds.addingReportingOverflow(nanoseconds)
        return Instant(nanoseconds: sum.overflow ? .max : sum.partialValue)
    }
}
