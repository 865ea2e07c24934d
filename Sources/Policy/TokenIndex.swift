// Finds the entry of a token: open addressing over 32 bits of the token's SHA-256, decided by all 256 of them. It grows a
// little with each insertion and never all at once.
import Bytes
import JOSE

/// A token leads to other places than its owner wants only where SHA-256 collides, so nobody can make long runs on purpose.
struct TokenIndex: ~Copyable {
    /// Positions of the smaller table that one insertion empties: all of them are empty long before the next growth, which is
    /// as many insertions away as the smaller table had entries.
    private static let movedPerInsertion = 16

    private var present = TokenPositions(count: 64)
    /// The table before the last growth, as far as it was not moved; always whole runs, so it is searched like any other.
    private var former = TokenPositions(count: 1)
    /// Positions of `former` that are still to be moved, and the first of them.
    private var unmoved = 0
    private var next = 0
    private var count = 0

    /// The entry of that token, good or not. Inlined, because a call would copy the whole index for it.
    @inline(__always)
    func find(_ key: SHA256Value, in entries: borrowing SlotTable<CacheEntry>) -> SlotID? {
        if let id = present.find(key, in: entries) { return id }
        return unmoved == 0 ? nil : findUnmoved(key, in: entries)
    }
    @inline(never)
    private func findUnmoved(_ key: SHA256Value, in entries: borrowing SlotTable<CacheEntry>) -> SlotID? {
        former.find(key, in: entries)
    }

    mutating func insert(_ key: SHA256Value, slot: Int32) {
        count += 1
        if count * 2 > present.count { grow() }
        present.place(TokenPositions.word(key, slot))
        if unmoved > 0 { move() }
    }

    mutating func remove(_ key: SHA256Value, slot: Int32) {
        let word = TokenPositions.word(key, slot)
        if present.remove(word) || former.remove(word) { count -= 1 }
    }

    /// A small table stays in the processor's cache, so it grows with what it holds.
    private mutating func grow() {
        while unmoved > 0 { move() }
        var smaller = TokenPositions(count: present.count * 2)
        swap(&smaller, &present)
        former = smaller
        unmoved = former.count
        next = former.gap()
    }

    /// Moves some runs. It begins and ends in a gap, so that what is left are whole runs.
    private mutating func move() {
        var steps = Self.movedPerInsertion
        while unmoved > 0 {
            let word = former.take(next)
            if word != 0 {
                present.place(word)
            } else if steps <= 0 {
                return
            }
            next = former.after(next)
            unmoved -= 1
            steps -= 1
        }
        former = TokenPositions(count: 1)
    }
}

/// Words of one size of the index: hash tag above, slot + 1 below, 0 for free. Never more than half full, so runs stay short.
private struct TokenPositions: ~Copyable {
    private var words: ZeroedArray<UInt64>
    private let mask: Int

    /// A power of two.
    init(count: Int) {
        words = ZeroedArray(count: count)
        mask = count - 1
    }

    var count: Int { words.count }

    /// 32 bits of the hash decide where the search begins, and the same 32 stand in the word.
    static func word(_ key: SHA256Value, _ slot: Int32) -> UInt64 {
        (key.words.0 >> 32) << 32 | UInt64(UInt32(bitPattern: slot) &+ 1)
    }
    private static func slot(_ word: UInt64) -> Int32 {
        Int32(truncatingIfNeeded: word & 0xffff_ffff) &- 1
    }
    private func home(_ word: UInt64) -> Int { Int(truncatingIfNeeded: word >> 32) & mask }

    @inline(__always)
    func find(_ key: SHA256Value, in entries: borrowing SlotTable<CacheEntry>) -> SlotID? {
        var at = home(key.words.0)
        while true {
            let word = words[at]
            if word == 0 { return nil }
            if word >> 32 == key.words.0 >> 32 {
                // The texts are read a little later: the lines come while the first one is looked at.
                entries.prefetch(Self.slot(word))
                if let id = entries.occupant(Self.slot(word)), entries[id].isOf(key) { return id }
            }
            at = after(at)
        }
    }

    mutating func place(_ word: UInt64) {
        var at = home(word)
        while words[at] != 0 { at = after(at) }
        words[at] = word
    }

    /// Whether the word was there.
    mutating func remove(_ word: UInt64) -> Bool {
        var at = home(word)
        while words[at] != word {
            if words[at] == 0 { return false }
            at = after(at)
        }
        close(at)
        return true
    }

    /// Fills the gap at `at` from the run behind it, so that no search ends too early (Knuth 6.4, algorithm R).
    private mutating func close(_ at: Int) {
        var gap = at
        var next = after(at)
        while words[next] != 0 {
            if (next &- home(words[next])) & mask >= (next &- gap) & mask {
                words[gap] = words[next]
                gap = next
            }
            next = after(next)
        }
        words[gap] = 0
    }

    // Moving to a larger table

    func after(_ at: Int) -> Int { (at &+ 1) & mask }

    /// A free position: every second one is.
    func gap() -> Int {
        var at = 0
        while words[at] != 0 { at = after(at) }
        return at
    }

    mutating func take(_ at: Int) -> UInt64 {
        let word = words[at]
        if word != 0 { words[at] = 0 }
        return word
    }
}
