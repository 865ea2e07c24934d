// Which entry is given up for a new one: S3-FIFO (Yang and others, SOSP 2023), which is three first-in-first-out queues.
// Newcomers wait in a small one; those that were asked for meanwhile go on to the main one, the others leave, remembered by
// fingerprint alone, and who comes back soon goes straight to the main one. A crowd that comes once passes through the small
// queue and pushes nobody out of the main one. A hit moves nothing: it counts in the entry.
import Bytes
import JOSE

struct EvictionQueues: ~Copyable {
    /// The small queue is drained while it holds at least the tenth part of the entries.
    private static let smallShare = 10
    /// A newcomer is held once when it is verified; one more makes it wanted.
    private static let usesToStay: UInt32 = 2
    /// Turns through the main queue that the busiest entry gets without being used again.
    private static let maximumTurns: UInt32 = 3
    /// Entries that are looked at to find one to give up: bounds the time where everything in the main queue is in use.
    private static let searchSteps = 64

    /// Two rings through all slots. By slot: above the next older one, below the next newer one, the top bit for the main
    /// queue. Behind the slots come the two places where the rings begin and end.
    private var neighbours: ZeroedArray<UInt64>
    private let small: Int32
    private let main: Int32
    private var smallCount = 0
    private var mainCount = 0
    private var departed: DepartedTokens

    /// For slots below `slots`, of which `limit` are in the queues at a time.
    init(slots: Int, limit: Int) {
        neighbours = ZeroedArray(count: slots + 2)
        small = Int32(slots)
        main = Int32(slots + 1)
        departed = DepartedTokens(limit: limit)
        neighbours[slots] = Self.word(older: small, newer: small)
        neighbours[slots + 1] = Self.word(older: main, newer: main)
    }

    var count: Int { smallCount + mainCount }

    mutating func insert(_ key: SHA256Value, slot: Int32) {
        append(slot, toMain: departed.contains(key))
    }

    /// The entry to give up; it stays in its queue until `remove`. Nil when there is none.
    mutating func choose(from entries: inout SlotTable<CacheEntry>, now: Int64) -> SlotID? {
        for _ in 0..<Self.searchSteps {
            let isNewcomer = smallCount > 0 && (smallCount * Self.smallShare >= count || mainCount == 0)
            guard let id = entries.occupant(oldest(inMain: !isNewcomer)) else { return nil }
            if entries[id].validity.goodUntil <= now { return id }
            let uses = entries[id].uses
            if isNewcomer, uses < Self.usesToStay { departed.insert(entries[id].key) }
            guard uses >= (isNewcomer ? Self.usesToStay : 1) else { return id }
            entries[id].uses = isNewcomer ? 0 : min(uses, Self.maximumTurns) - 1
            remove(id.index)
            append(id.index, toMain: true)
        }
        // Everybody here is wanted, so far; whoever came last has the weakest claim.
        return entries.occupant(smallCount > 0 ? Self.older(neighbours[Int(small)]) : oldest(inMain: true))
    }

    mutating func remove(_ slot: Int32) {
        let word = neighbours[Int(slot)]
        setNewer(of: Self.older(word), Self.newer(word))
        setOlder(of: Self.newer(word), Self.older(word))
        if word & Self.mainBit != 0 { mainCount -= 1 } else { smallCount -= 1 }
    }

    /// The place behind the slots when the queue is empty.
    private func oldest(inMain: Bool) -> Int32 { Self.newer(neighbours[Int(inMain ? main : small)]) }

    private mutating func append(_ slot: Int32, toMain: Bool) {
        let end = toMain ? main : small
        let newest = Self.older(neighbours[Int(end)])
        neighbours[Int(slot)] = Self.word(older: newest, newer: end) | (toMain ? Self.mainBit : 0)
        setNewer(of: newest, slot)
        setOlder(of: end, slot)
        if toMain { mainCount += 1 } else { smallCount += 1 }
    }

    // Words of `neighbours`

    private static let mainBit: UInt64 = 1 << 63
    private static let slotBits: UInt64 = 0x7fff_ffff
    private static func word(older: Int32, newer: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: older)) << 32 | UInt64(UInt32(bitPattern: newer))
    }
    private static func older(_ word: UInt64) -> Int32 { Int32(truncatingIfNeeded: word >> 32 & slotBits) }
    private static func newer(_ word: UInt64) -> Int32 { Int32(truncatingIfNeeded: word & slotBits) }

    private mutating func setOlder(of at: Int32, _ slot: Int32) {
        neighbours[Int(at)] = neighbours[Int(at)] & ~(Self.slotBits << 32) | Self.word(older: slot, newer: 0)
    }
    private mutating func setNewer(of at: Int32, _ slot: Int32) {
        neighbours[Int(at)] = neighbours[Int(at)] & ~Self.slotBits | Self.word(older: 0, newer: slot)
    }
}

/// Fingerprints of tokens that left the small queue lately, about as many as there may be entries. A fingerprint of two tokens
/// brings one of them into the main queue too early, and does nothing else.
struct DepartedTokens: ~Copyable {
    /// Places that a fingerprint may take.
    private static let ways = 4

    /// Fingerprint above, number of the departure below.
    private var words: ZeroedArray<UInt64>
    private let mask: Int
    private let limit: UInt32
    private var number: UInt32

    init(limit: Int) {
        var count = Self.ways
        while count * 2 < limit * 3 { count *= 2 }
        words = ZeroedArray(count: count)
        mask = count - Self.ways
        self.limit = UInt32(limit)
        // Words that were never written are too old from the start.
        number = self.limit + 1
    }

    func contains(_ key: SHA256Value) -> Bool {
        let first = Int(truncatingIfNeeded: key.words.1) & mask
        for at in first..<first + Self.ways
        where words[at] >> 32 == key.words.1 >> 32 && number &- UInt32(truncatingIfNeeded: words[at]) <= limit {
            return true
        }
        return false
    }

    /// In place of the oldest that lies where it may lie.
    mutating func insert(_ key: SHA256Value) {
        let first = Int(truncatingIfNeeded: key.words.1) & mask
        var oldest = first
        for at in first..<first + Self.ways where age(at) > age(oldest) { oldest = at }
        words[oldest] = (key.words.1 >> 32) << 32 | UInt64(number)
        number &+= 1
    }

    private func age(_ at: Int) -> UInt32 { number &- UInt32(truncatingIfNeeded: words[at]) }
}
