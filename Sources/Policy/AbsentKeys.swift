// Names of keys that a provider did not have even after they were fetched anew: for a while nobody waits for them again.
import Bytes
import JOSE

struct AbsentKeys: ~Copyable {
    private static var limit: Int { 1024 }
    private static var nanoseconds: UInt64 { 60_000_000_000 }

    struct Entry: BitwiseCopyable {
        var words: (UInt64, UInt64) = (0, 0)
        var until = Instant(nanoseconds: 0)
    }
    /// Each hash has one place: a flood of names drives others out, which then may cost a fetch, and no more than one within
    /// the cooldown. No memory before the first.
    private var entries = FixedArray(repeating: Entry(), count: 0)

    mutating func note(_ id: SHA256Value, now: Instant) {
        if entries.count == 0 { entries = FixedArray(repeating: Entry(), count: Self.limit) }
        entries[Self.place(id)] = Entry(
            words: (id.words.0, id.words.1), until: Instant(nanoseconds: now.nanoseconds &+ Self.nanoseconds))
    }
    func contains(_ id: SHA256Value, now: Instant) -> Bool {
        guard entries.count > 0 else { return false }
        let entry = entries[Self.place(id)]
        return entry.words == (id.words.0, id.words.1) && now < entry.until
    }
    private static func place(_ id: SHA256Value) -> Int { Int(id.words.2 % UInt64(limit)) }
}
