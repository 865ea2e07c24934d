// Tokens that were verified, by SHA-256 of the token: exact, so that no collision hands one caller the claims of another, and
// no token stays in memory. Every operation takes bounded time.
import Bytes
import JOSE

struct VerificationCache: ~Copyable {
    /// Exchanges that may hold an entry that the cache has given up; more than one worker has connections.
    private static let heldSlots = 1 << 16
    /// Index positions that are looked at to find one entry to give up.
    private static let sweepSteps = 64
    /// Entries that one insertion may push out. The largest takes as much as a hundred small ones; what does not fit then is
    /// not cached, and the next one finds the room.
    private static let evictionSteps = 32
    /// Bytes of a slot of the table, and of the index at half load.
    private static let slotBytes = 256 + 16

    private let limit: Int
    private let byteLimit: Int
    private var entries: SlotTable<CacheEntry>
    /// Open addressing: hash tag above, slot + 1 below, 0 for free; never more than half full, so runs stay short.
    private var index = ZeroedArray<UInt64>(count: 64)
    private var mask = 63
    private var hand = 0
    private(set) var count = 0
    private(set) var bytes = 0
    private(set) var evictions: UInt64 = 0
    /// Exchanges that hold an entry, counted once for each.
    private(set) var holds = 0

    /// Room for `limit` entries and `byteLimit` bytes, of which nothing is memory until it is used.
    init(limit: Int, byteLimit: Int) {
        // 8 million: the slot table's own bound less the held ones.
        self.limit = min(max(limit, 0), 8 << 20)
        self.byteLimit = byteLimit
        entries = SlotTable(capacity: self.limit + Self.heldSlots)
    }

    // Looking up

    /// The entry of that token, good or not.
    func find(_ key: SHA256Value) -> SlotID? {
        var at = Self.home(key) & mask
        while true {
            let word = index[at]
            if word == 0 { return nil }
            if word >> 32 == key.words.0 >> 32 {
                // The texts are read a little later: the lines come while the first one is looked at.
                entries.prefetch(Self.slot(word))
                if let id = entries.occupant(Self.slot(word)), entries[id].key == key { return id }
            }
            at = (at + 1) & mask
        }
    }

    /// When and by which keys the entry is good.
    func validity(_ id: SlotID) -> CacheEntry.Validity { entries[id].validity }

    mutating func noteKeyGeneration(_ id: SlotID, _ generation: UInt32) {
        entries[id].validity.keyGeneration = generation
    }

    /// Holds the entry for an exchange: its texts stay until `release`, whatever becomes of the cache.
    mutating func hold(_ id: SlotID) {
        entries[id].holders &+= 1
        entries[id].isReferenced = true
        holds += 1
    }

    mutating func release(_ id: SlotID) {
        guard entries.contains(id), entries[id].holders > 0 else { return }
        entries[id].holders &-= 1
        holds -= 1
        if entries[id].holders == 0 && !entries[id].isIndexed { entries.destroy(id) }
    }

    // Changing

    /// Keeps what is known of a token; nil only when every slot is taken. An entry that finds no room in the cache is still
    /// given out, and lives as long as it is held: the caller holds it, or gives it back with `discard`.
    mutating func insert(
        _ key: SHA256Value, _ validity: CacheEntry.Validity, _ identity: Identity, _ text: borrowing ByteBuffer,
        now: Int64
    ) -> SlotID? {
        let size = Self.bytesOfEntry(outside: CacheEntry.bytesOutside(mainCount: identity.mainCount, text.count))
        let hasRoom = makeRoom(for: size, now)
        guard let id = entries.insert(CacheEntry(key, validity, identity, text)) else { return nil }
        guard hasRoom else { return id }
        entries[id].isIndexed = true
        count += 1
        if count * 2 > index.count { doubleIndex() }
        place((key.words.0 >> 32) << 32 | UInt64(UInt32(bitPattern: id.index) &+ 1))
        bytes += size
        return id
    }

    private mutating func place(_ word: UInt64) {
        var at = Int(truncatingIfNeeded: word >> 32) & mask
        while index[at] != 0 { at = (at + 1) & mask }
        index[at] = word
    }

    /// A small index stays in the processor's cache, so it grows with what it holds: a dozen times in the life of a process,
    /// each word moved once: 0.1 ms for 16 384 entries, 0.9 ms for 65 536.
    private mutating func doubleIndex() {
        var old = ZeroedArray<UInt64>(count: index.count * 2)
        swap(&old, &index)
        mask = index.count - 1
        for i in 0..<old.count where old[i] != 0 { place(old[i]) }
    }

    /// Gives up the entry; held ones stay readable for those who hold them.
    mutating func remove(_ id: SlotID) {
        guard entries[id].isIndexed else { return discard(id) }
        entries[id].isIndexed = false
        var at = Self.home(entries[id].key) & mask
        while Self.slot(index[at]) != id.index { at = (at + 1) & mask }
        close(at)
        count -= 1
        bytes -= Self.bytesOfEntry(outside: entries[id].bytesOutside)
        discard(id)
    }

    /// Ends an entry that is neither cached nor held.
    mutating func discard(_ id: SlotID) {
        if entries[id].holders == 0 && !entries[id].isIndexed { entries.destroy(id) }
    }

    /// Fills the gap at `at` from the run behind it, so that no search ends too early (Knuth 6.4, algorithm R).
    private mutating func close(_ at: Int) {
        var gap = at
        var next = (at + 1) & mask
        while index[next] != 0 {
            let home = Int(truncatingIfNeeded: index[next] >> 32) & mask
            if (next &- home) & mask >= (next &- gap) & mask {
                index[gap] = index[next]
                gap = next
            }
            next = (next + 1) & mask
        }
        index[gap] = 0
    }

    private mutating func makeRoom(for size: Int, _ now: Int64) -> Bool {
        guard limit > 0, size <= byteLimit else { return false }
        for _ in 0..<Self.evictionSteps {
            if count < limit && bytes + size <= byteLimit { return true }
            guard evict(now) else { return false }
        }
        return count < limit && bytes + size <= byteLimit
    }

    /// Second chance: the hand passes entries that were used since it last came by, and takes the first that was not.
    private mutating func evict(_ now: Int64) -> Bool {
        var fallback = SlotID.none
        for _ in 0..<Self.sweepSteps {
            hand = (hand + 1) & mask
            guard let id = entries.occupant(Self.slot(index[hand])), entries[id].holders == 0 else { continue }
            if !entries[id].isReferenced || entries[id].validity.goodUntil <= now {
                fallback = id
                break
            }
            entries[id].isReferenced = false
            if fallback == .none { fallback = id }
        }
        guard fallback != .none else { return false }
        remove(fallback)
        evictions &+= 1
        return true
    }

    /// Text too long for the slot lies in memory of its own, with the allocator's header.
    private static func bytesOfEntry(outside: Int) -> Int { outside == 0 ? slotBytes : slotBytes + outside + 16 }

    /// 32 bits of the hash decide where the search begins, and the same 32 stand in the index.
    private static func home(_ key: SHA256Value) -> Int { Int(truncatingIfNeeded: key.words.0 >> 32) }
    private static func slot(_ word: UInt64) -> Int32 {
        Int32(truncatingIfNeeded: word & 0xffff_ffff) &- 1
    }

    // Reading

    borrowing func contains(_ id: SlotID) -> Bool { entries.contains(id) }

    borrowing func writeSubject(_ id: SlotID, to out: inout ByteBuffer) {
        entries[id].writeSubject(to: &out)
    }
    borrowing func writeSubject(_ id: SlotID, to out: inout ByteQueue) {
        entries[id].writeSubject(to: &out)
    }
    borrowing func writePermissions(_ id: SlotID, to out: inout ByteBuffer) {
        entries[id].writePermissions(to: &out)
    }
    borrowing func writePermissions(_ id: SlotID, to out: inout ByteQueue) {
        entries[id].writePermissions(to: &out)
    }
    borrowing func grants(_ id: SlotID, _ permission: borrowing Span<UInt8>) -> Bool {
        entries[id].grants(permission)
    }
    borrowing func has(_ id: SlotID, _ element: borrowing Span<UInt8>, in list: IdentityList) -> Bool {
        entries[id].has(element, in: list)
    }
    borrowing func shape(_ id: SlotID, ofClaim index: Int) -> ClaimShape { entries[id].shape(ofClaim: index) }
    borrowing func writeClaim(_ id: SlotID, _ index: Int, to out: inout ByteBuffer) {
        entries[id].writeClaim(index, to: &out)
    }
    borrowing func claim(_ id: SlotID, _ index: Int, equals value: borrowing Span<UInt8>) -> Bool {
        entries[id].claim(index, equals: value)
    }
    borrowing func claim(_ id: SlotID, _ index: Int, contains element: borrowing Span<UInt8>) -> Bool {
        entries[id].claim(index, contains: element)
    }
    /// Of subject and permissions.
    borrowing func textCount(_ id: SlotID) -> Int { Int(entries[id].mainCount) }
}
