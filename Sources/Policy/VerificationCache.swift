// Tokens that were verified, by SHA-256 of the token: exact, so that no collision hands one caller the claims of another, and
// no token stays in memory. Every operation takes bounded time.
import Bytes
import JOSE

struct VerificationCache: ~Copyable {
    /// Exchanges that may hold an entry that the cache has given up; more than one worker has connections.
    private static let heldSlots = 1 << 16
    /// Entries that one insertion may push out. The largest takes as much as a hundred small ones; what does not fit then is
    /// not cached, and the next one finds the room.
    private static let evictionSteps = 32
    /// Bytes of a slot of the table, of the index at half load, and of the queues.
    private static let slotBytes = 320 + 16 + 24
    /// Of header fields that are kept with an entry: as much as the longest that are usual.
    private static let maximumFieldBytes = 1024

    private let limit: Int
    private let byteLimit: Int
    private var entries: SlotTable<CacheEntry>
    private var index = TokenIndex()
    private var queues: EvictionQueues
    private(set) var bytes = 0
    private(set) var evictions: UInt64 = 0
    /// Exchanges that hold an entry, counted once for each.
    private(set) var holds = 0

    /// Room for `limit` entries and `byteLimit` bytes, of which nothing is memory until it is used.
    init(limit: Int, byteLimit: Int) {
        // 8 million: the slot table's own bound less the held ones.
        self.limit = min(max(limit, 0), byteLimit / Self.slotBytes, 8 << 20)
        self.byteLimit = byteLimit
        entries = SlotTable(capacity: self.limit + Self.heldSlots)
        queues = EvictionQueues(slots: self.limit + Self.heldSlots, limit: self.limit)
    }

    /// Entries that can be found.
    var count: Int { queues.count }

    /// Slots there may be, cached or held: what lies beside the entries is found by them.
    var slots: Int { Int(entries.capacity) }

    // Looking up

    /// The entry of that token, good or not. It changes nothing, but a call that may is not given a copy of everything.
    mutating func find(_ key: SHA256Value) -> SlotID? { index.find(key, in: entries) }

    /// When and by which keys the entry is good.
    func validity(_ id: SlotID) -> CacheEntry.Validity { entries[id].validity }

    mutating func noteKeyGeneration(_ id: SlotID, _ generation: UInt32) {
        entries[id].validity.keyGeneration = generation
    }

    /// Holds the entry for an exchange: its texts stay until `release`, whatever becomes of the cache.
    mutating func hold(_ id: SlotID) {
        entries[id].hold()
        holds += 1
    }

    func key(of id: SlotID) -> SHA256Value { entries[id].key }

    mutating func release(_ id: SlotID) {
        guard entries.contains(id), entries[id].isHeld else { return }
        let isOver = entries[id].release()
        holds -= 1
        if isOver { entries.destroy(id) }
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
        index.insert(key, slot: id.index)
        queues.insert(key, slot: id.index)
        bytes += size
        return id
    }

    /// Gives up the entry; held ones stay readable for those who hold them.
    mutating func remove(_ id: SlotID) {
        guard entries[id].isIndexed else { return discard(id) }
        entries[id].isIndexed = false
        index.remove(entries[id].key, slot: id.index)
        queues.remove(id.index)
        bytes -= Self.bytesOfEntry(outside: entries[id].bytesOutside) + Self.bytesOfFields(entries[id].bytesOfFields)
        discard(id)
    }

    /// Ends an entry that is neither cached nor held.
    mutating func discard(_ id: SlotID) {
        if entries[id].isOver { entries.destroy(id) }
    }

    private mutating func makeRoom(for size: Int, _ now: Int64) -> Bool {
        guard limit > 0, size <= byteLimit else { return false }
        for _ in 0..<Self.evictionSteps {
            if count < limit && bytes + size <= byteLimit { return true }
            guard evict(now) else { return false }
        }
        return count < limit && bytes + size <= byteLimit
    }

    private mutating func evict(_ now: Int64) -> Bool {
        guard let id = queues.choose(from: &entries, now: now) else { return false }
        remove(id)
        evictions &+= 1
        return true
    }

    /// Text too long for the slot lies in memory of its own, with the allocator's header.
    private static func bytesOfEntry(outside: Int) -> Int { outside == 0 ? slotBytes : slotBytes + outside + 16 }

    private static func bytesOfFields(_ count: Int) -> Int { count == 0 ? 0 : count + 16 }

    /// Keeps header fields that were made of the entry, if there is room: they are made of it again and again.
    mutating func keepFields(_ id: SlotID, _ lines: borrowing Span<UInt8>, stamp: UInt32) {
        guard lines.count <= Self.maximumFieldBytes, entries[id].isIndexed else { return }
        let change = Self.bytesOfFields(lines.count) - Self.bytesOfFields(entries[id].bytesOfFields)
        guard bytes + change <= byteLimit else { return }
        entries[id].keepFields(lines, stamp: stamp)
        bytes += change
    }

    // Reading

    borrowing func writeFields(_ id: SlotID, stamp: UInt32, to out: inout ByteBuffer) -> Bool {
        entries[id].writeFields(stamp: stamp, to: &out)
    }
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
    borrowing func showsPermissions(_ id: SlotID) -> Bool { entries[id].showsPermissions }
    borrowing func has(_ id: SlotID, _ element: borrowing Span<UInt8>, in list: IdentityList) -> Bool {
        entries[id].has(element, in: list)
    }
    borrowing func write(_ id: SlotID, _ list: IdentityList, to out: inout ByteBuffer) {
        entries[id].write(list, to: &out)
    }
    borrowing func covers(_ id: SlotID, _ element: borrowing Span<UInt8>, in list: IdentityList) -> Bool {
        entries[id].covers(element, in: list)
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
