// What one worker knows of revocations, and what it says of a credential. The set outlives configurations; the blocks are
// those of the configuration that was installed last.
package import Bytes
package import Configuration

/// What revocations have to say about a credential.
package enum RevocationVerdict: Equatable, Sendable {
    case good
    /// No source was heard for too long, and the configuration lets requests pass.
    case goodThoughStale
    case revoked
    /// No source was heard for too long, and the configuration refuses requests then.
    case stale
}

/// One `revocation` block.
struct RevocationBlock: BitwiseCopyable {
    var scope = RevocationKey.none
    /// When a source was last heard, in the loop's time; 0: never.
    var heardNanoseconds: UInt64 = 0
    var ageLimit: UInt64 = .max
    var deniesWhenStale = false
}

package struct Revocations: ~Copyable {
    /// Numbers of blocks are for ever: a request that began under an older configuration still names the same one.
    private static let maximumBlocks = 255

    private var set: RevocationSet
    private var blocks = FixedArray(repeating: RevocationBlock(), count: maximumBlocks)
    /// By number.
    private var names: [String] = []
    /// Numbers in the order of the configuration.
    private var configured: [Int32] = []
    private var keys = RevocationKeys()

    /// - Parameter secret: any number that others do not know.
    package init(secret: UInt64) { set = RevocationSet(secret: secret) }

    /// Takes over the blocks of a new configuration.
    package mutating func update(_ revocations: [Revocation]) {
        configured = []
        for revocation in revocations {
            let i = number(of: revocation.name, among: revocations)
            blocks[i].scope = keys.scope(revocation.name)
            blocks[i].deniesWhenStale = revocation.deniesWhenStale
            blocks[i].ageLimit =
                revocation.hasSource ? UInt64(revocation.maxAge.components.seconds) * 1_000_000_000 : .max
            configured.append(Int32(i))
        }
    }
    private mutating func number(of name: String, among revocations: [Revocation]) -> Int {
        if let known = names.firstIndex(of: name) { return known }
        if names.count < Self.maximumBlocks {
            names.append(name)
            return names.count - 1
        }
        // So many names in the life of one process: one that is gone gives its number.
        let free = names.firstIndex { old in !revocations.contains { $0.name == old } } ?? 0
        names[free] = name
        blocks[free] = RevocationBlock()
        // What was looked up under that number was looked up for another.
        set.renewGeneration()
        return free
    }
    /// The number of the block at that place of the configuration.
    func place(ofConfigured index: Int) -> Int32 { configured[index] }

    package mutating func insert(_ entries: [RevocationEntry], now: Int64) {
        for entry in entries { _ = set.insert(entry, now: now) }
    }
    /// A source of that block was heard.
    package mutating func heard(_ name: String, at time: Instant) {
        guard let i = names.firstIndex(of: name) else { return }
        blocks[i].heardNanoseconds = max(blocks[i].heardNanoseconds, time.nanoseconds)
    }
    /// Once a second.
    package mutating func keepUp(now: Int64) { set.keepUp(steps: 4096, now: now) }

    /// - Parameters:
    ///   - block: its number.
    ///   - slot: where `table` keeps the credential's facts.
    ///   - now: wall-clock seconds, in which entries say when they end.
    ///   - time: of the loop.
    borrowing func judge(
        _ slot: Int32, in table: inout RevocationFactsTable, block: Int, now: Int64, time: Instant
    ) -> RevocationVerdict {
        let row = blocks[block]
        let isStale =
            row.ageLimit != .max
            && (row.heardNanoseconds == 0 || time.nanoseconds &- row.heardNanoseconds > row.ageLimit)
        if isStale && row.deniesWhenStale { return .stale }
        // Checked under this block when the set was what it is now. Only expiry has changed it since, which revives nobody.
        let note = set.generation << 8 | UInt64(truncatingIfNeeded: block &+ 1)
        if table.note(slot) != note {
            if set.revokes(table.facts(slot), in: row.scope, now: now) { return .revoked }
            table.note(slot, note)
        }
        return isStale ? .goodThoughStale : .good
    }

    /// Whether it is revoked by its own number.
    borrowing func isRevokedItself(
        _ slot: Int32, in table: borrowing RevocationFactsTable, block: Int, now: Int64
    ) -> Bool {
        set.revokesItself(table.facts(slot), in: blocks[block].scope, now: now)
    }
}

/// What there is to revoke of each cached credential, beside the cache: in memory of its own, of which only what is used is
/// touched, and which is not there at all without a `revocation` block.
struct RevocationFactsTable: ~Copyable {
    private static let words = 12

    private var words: ZeroedArray<UInt64>

    /// - Parameter slots: of the cache.
    init(slots: Int) { words = ZeroedArray(count: max(slots, 1) * Self.words) }

    mutating func set(_ slot: Int32, _ facts: RevocationFacts) {
        let first = Int(slot) * Self.words
        // Checked never.
        words[first] = 0
        words[first + 1] = UInt64(bitPattern: facts.issuedAt)
        put(facts.token, first + 2)
        put(facts.session, first + 4)
        put(facts.subject, first + 6)
        put(facts.signingKey, first + 8)
        put(facts.client, first + 10)
    }
    private mutating func put(_ key: RevocationKey, _ at: Int) {
        words[at] = key.high
        words[at + 1] = key.low
    }
    func facts(_ slot: Int32) -> RevocationFacts {
        let first = Int(slot) * Self.words
        var facts = RevocationFacts()
        facts.issuedAt = Int64(bitPattern: words[first + 1])
        facts.token = key(first + 2)
        facts.session = key(first + 4)
        facts.subject = key(first + 6)
        facts.signingKey = key(first + 8)
        facts.client = key(first + 10)
        return facts
    }
    private func key(_ at: Int) -> RevocationKey { RevocationKey(high: words[at], low: words[at + 1]) }
    func note(_ slot: Int32) -> UInt64 { words[Int(slot) * Self.words] }
    mutating func note(_ slot: Int32, _ note: UInt64) { words[Int(slot) * Self.words] = note }
}
