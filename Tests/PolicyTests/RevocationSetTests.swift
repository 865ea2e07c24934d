// The set against a dictionary that does the same slowly, and its bounds.
import Bytes
import Policy
import Testing

@Suite struct RevocationSetTests {
    private static let now: Int64 = 1_800_000_000

    private func key(_ number: UInt64) -> RevocationKey {
        var random = SeededRandom(seed: number &* 0x9e37_79b9 &+ 1)
        return RevocationKey(high: random.next() | 1, low: random.next())
    }
    private func facts(subject: RevocationKey, issuedAt: Int64? = nil) -> RevocationFacts {
        var facts = RevocationFacts()
        facts.subject = subject
        if let issuedAt { facts.issuedAt = issuedAt }
        return facts
    }

    /// What the set has to be, entry by entry.
    private struct Model {
        var entries: [RevocationKey: RevocationEntry] = [:]

        mutating func insert(_ entry: RevocationEntry, now: Int64) -> RevocationSet.Insertion {
            if Int64(entry.until) <= now { return .expired }
            guard let old = entries[entry.key], Int64(old.until) > now else {
                entries[entry.key] = entry
                return .added
            }
            var new = old
            new.until = max(old.until, entry.until)
            new.before = old.before == 0 || entry.before == 0 ? 0 : max(old.before, entry.before)
            entries[entry.key] = new
            return new == old ? .known : .widened
        }
        func revokes(_ key: RevocationKey, issuedAt: Int64, now: Int64) -> Bool {
            guard let entry = entries[key], Int64(entry.until) > now else { return false }
            return entry.before == 0 || issuedAt < Int64(entry.before)
        }
    }

    /// Many keys, few keys; long lives, short lives: growing, shrinking, sweeping and widening in every order.
    @Test(arguments: [(1, 200, 50), (2, 5000, 20), (3, 20_000, 2000), (4, 40, 5)])
    func equalsTheModel(_ seed: UInt64, _ keys: UInt64, _ life: UInt64) {
        var random = SeededRandom(seed: seed)
        var set = RevocationSet(secret: random.next())
        var model = Model()
        var now = Self.now
        for step in 0..<30_000 {
            let entry = RevocationEntry(
                key: key(random.next() % keys), until: UInt32(now - 2 + Int64(random.next() % life)),
                before: random.next() % 3 == 0 ? UInt32(now - Int64(random.next() % 100)) : 0)
            let generation = set.generation
            let outcome = set.insert(entry, now: now)
            #expect(outcome == model.insert(entry, now: now), "step \(step) of seed \(seed)")
            let isNews = set.generation != generation
            #expect(isNews == (outcome == .added || outcome == .widened))
            let asked = key(random.next() % keys)
            let issuedAt = now - Int64(random.next() % 100)
            let isRevoked = set.revokes(facts(subject: asked, issuedAt: issuedAt), in: .none, now: now)
            #expect(isRevoked == model.revokes(asked, issuedAt: issuedAt, now: now), "step \(step) of seed \(seed)")
            if random.next() % 50 == 0 { now += 1 }
            if random.next() % 500 == 0 {
                set.keepUp(steps: 1000, now: now)
                let alive = Set(model.entries.values.filter { Int64($0.until) > now })
                let (kept, count) = (Set(set.entries(now: now)), set.count)
                #expect(kept == alive && count >= alive.count, "step \(step) of seed \(seed)")
            }
        }
    }

    @Test func forgetsAndGivesMemoryBack() {
        var set = RevocationSet(secret: 7)
        for i in 0..<50_000 {
            let entry = RevocationEntry(key: key(UInt64(i)), until: UInt32(Self.now + 10))
            let outcome = set.insert(entry, now: Self.now)
            #expect(outcome == .added)
        }
        let full = (count: set.count, bytes: set.bytes)
        for _ in 0..<200 { set.keepUp(steps: 8192, now: Self.now + 10) }
        let empty = (count: set.count, bytes: set.bytes)
        #expect(full.count == 50_000 && empty.count == 0 && empty.bytes < full.bytes / 100)
        let isRevoked = set.revokes(facts(subject: key(1)), in: .none, now: Self.now + 10)
        #expect(!isRevoked)
    }

    @Test func aMillionEntriesTake48MiB() {
        var random = SeededRandom(seed: 11)
        var set = RevocationSet(secret: random.next())
        for _ in 0..<1_000_000 {
            let key = RevocationKey(high: random.next() | 1, low: random.next())
            _ = set.insert(RevocationEntry(key: key, until: UInt32(Self.now + 600)), now: Self.now)
        }
        set.keepUp(steps: 1 << 22, now: Self.now)
        let (count, bytes) = (set.count, set.bytes)
        #expect(count == 1_000_000)
        #expect(bytes <= 48 << 20 + 1024)
    }

    @Test func sameKeysUnderAnotherSecret() {
        // Keys whose upper bits are equal meet in one place only when the secret is known.
        var set = RevocationSet(secret: 0x9e37_79b9_7f4a_7c15)
        for i in 0..<20_000 {
            let key = RevocationKey(high: 0xabcd_0000_0000_0000 + UInt64(i), low: 1)
            let outcome = set.insert(RevocationEntry(key: key, until: UInt32(Self.now + 10)), now: Self.now)
            #expect(outcome == .added)
        }
        let last = set.find(RevocationKey(high: 0xabcd_0000_0000_0000 + 19_999, low: 1))
        let none = set.find(RevocationKey(high: 0xabcd_0000_0000_0000 + 20_000, low: 1))
        #expect(last != nil && none == nil)
    }

    @Test func issuerKindAndValueAreKeptApart() {
        var keys = RevocationKeys()
        func made(_ issuer: String, _ kind: RevocationKind, _ value: String) -> RevocationKey {
            let (issuer, value) = (Array(issuer.utf8), Array(value.utf8))
            keys.begin(issuer: issuer.span)
            return keys.key(kind, value.span)
        }
        let all = [
            made("https://a", .tokenID, "1"), made("https://b", .tokenID, "1"), made("https://a", .session, "1"),
            made("https://a1", .tokenID, ""), made("https://a", .tokenID, "11"), made("", .tokenID, "https://a1"),
        ]
        #expect(Set(all).count == all.count)
        let again = made("https://a", .tokenID, "1")
        let (scope, other) = (keys.scope("main"), keys.scope("other"))
        #expect(again == all[0] && scope != other)
        var set = RevocationSet(secret: 3)
        _ = set.insert(RevocationEntry(key: all[0].scoped(by: scope), until: UInt32(Self.now + 10)), now: Self.now)
        var facts = RevocationFacts()
        facts.token = all[0]
        let here = set.revokes(facts, in: scope, now: Self.now)
        let elsewhere = set.revokes(facts, in: other, now: Self.now)
        facts.token = all[1]
        let another = set.revokes(facts, in: scope, now: Self.now)
        #expect(here && !elsewhere && !another)
    }

    @Test func withoutADateATokenIsOlderThanAny() {
        var set = RevocationSet(secret: 3)
        let entry = RevocationEntry(key: key(1), until: UInt32(Self.now + 10), before: UInt32(Self.now))
        _ = set.insert(entry, now: Self.now)
        let undated = set.revokes(facts(subject: key(1)), in: .none, now: Self.now)
        let earlier = set.revokes(facts(subject: key(1), issuedAt: Self.now - 1), in: .none, now: Self.now)
        let later = set.revokes(facts(subject: key(1), issuedAt: Self.now), in: .none, now: Self.now)
        #expect(undated && earlier && !later)
    }
}
