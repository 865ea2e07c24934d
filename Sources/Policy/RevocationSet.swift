// Everything that is revoked, exactly: a table of keys in which looking up, adding, forgetting and growing all take bounded
// steps, so that a million entries cost a request what none cost.
import Bytes

package struct RevocationSet: ~Copyable {
    /// 96 MiB of table hold so many; more is a source that has lost its mind.
    package static let maximumEntries = 3_000_000
    private static let minimumSlots = 64
    /// Slots of a table that is given up which move with each insertion. Two would do for the new table never to fill first.
    private static let movesPerInsertion = 16
    private static let sweepsPerInsertion = 4

    /// Secret and odd: who chooses values cannot choose their places.
    private let multiplier: UInt64
    private var table: RevocationTable
    /// The smaller or larger one before, whose slots from `moved` on are still to be taken over.
    private var older = RevocationTable(capacity: 1)
    private var moved = 0
    private var isMoving = false
    private var hand = 0
    package private(set) var count = 0
    /// Moves whenever something was revoked. What was looked up under the present one need not be looked up again.
    package private(set) var generation: UInt64 = 1

    /// - Parameter secret: any number that others do not know.
    package init(secret: UInt64) {
        multiplier = secret | 1
        table = RevocationTable(capacity: Self.minimumSlots)
    }

    package enum Insertion: Equatable, Sendable {
        case added
        /// It was there and now holds for longer, or for more.
        case widened
        case known
        /// It had expired before it came.
        case expired
        /// There is no room for more.
        case full
    }

    // Asking

    /// Whether something of a credential is revoked. `now` in wall-clock seconds.
    package borrowing func revokes(_ facts: RevocationFacts, in scope: RevocationKey, now: Int64) -> Bool {
        if count == 0 { return false }
        let issuedAt = facts.issuedAt
        return revokes(facts.token, scope, issuedAt, now) || revokes(facts.session, scope, issuedAt, now)
            || revokes(facts.subject, scope, issuedAt, now) || revokes(facts.signingKey, scope, issuedAt, now)
            || revokes(facts.client, scope, issuedAt, now)
    }
    /// Whether the credential itself is revoked, by its number, whatever else is.
    package borrowing func revokesItself(_ facts: RevocationFacts, in scope: RevocationKey, now: Int64) -> Bool {
        count > 0 && revokes(facts.token, scope, facts.issuedAt, now)
    }
    private borrowing func revokes(
        _ key: RevocationKey, _ scope: RevocationKey, _ issuedAt: Int64, _ now: Int64
    ) -> Bool {
        guard key != .none, let entry = find(key.scoped(by: scope)), Int64(entry.until) > now else { return false }
        return entry.before == 0 || issuedAt < Int64(entry.before)
    }

    /// The entry of that key, expired ones included that nobody has come by yet.
    package borrowing func find(_ key: RevocationKey) -> RevocationEntry? {
        if let at = table.find(key, multiplier) { return table.entry(at) }
        if isMoving, let at = older.find(key, multiplier) { return older.entry(at) }
        return nil
    }

    // Changing

    /// An entry that is there already is widened: it holds until the later end, and for what was issued before the later date.
    package mutating func insert(_ entry: RevocationEntry, now: Int64) -> Insertion {
        guard Int64(entry.until) > now else { return .expired }
        move(Self.movesPerInsertion, now)
        sweep(Self.sweepsPerInsertion, now)
        if let at = table.find(entry.key, multiplier) { return noted(table.widen(at, by: entry, now: now)) }
        // What was moved already is found above, unless it had expired.
        if isMoving, let at = older.find(entry.key, multiplier), at >= moved {
            return noted(older.widen(at, by: entry, now: now))
        }
        guard count < Self.maximumEntries else { return .full }
        if !isMoving && (table.count + 1) * 4 > table.capacity * 3 { begin(capacity: table.capacity * 2) }
        table.put(entry, multiplier)
        count += 1
        return noted(.added)
    }
    private mutating func noted(_ insertion: Insertion) -> Insertion {
        if insertion != .known { generation &+= 1 }
        return insertion
    }
    /// What was looked up before counts no more, though nothing was revoked.
    package mutating func renewGeneration() { generation &+= 1 }

    /// Forgets expired entries among the next `steps` slots, and gives memory back that is no longer needed. To be called now
    /// and then.
    package mutating func keepUp(steps: Int, now: Int64) {
        move(steps, now)
        sweep(steps, now)
        if !isMoving && table.capacity > Self.minimumSlots && table.count * 8 < table.capacity {
            begin(capacity: table.capacity / 2)
        }
    }

    private mutating func begin(capacity: Int) {
        var new = RevocationTable(capacity: capacity)
        swap(&new, &table)
        older = new
        moved = 0
        hand = 0
        isMoving = true
    }
    private mutating func move(_ steps: Int, _ now: Int64) {
        guard isMoving else { return }
        let end = min(moved + steps, older.capacity)
        while moved < end {
            if older.isOccupied(moved) {
                let entry = older.entry(moved)
                if Int64(entry.until) > now { table.put(entry, multiplier) } else { count -= 1 }
            }
            moved += 1
        }
        guard moved == older.capacity else { return }
        isMoving = false
        older = RevocationTable(capacity: 1)
    }
    private mutating func sweep(_ steps: Int, _ now: Int64) {
        // While entries move, those that expired are left behind.
        guard !isMoving else { return }
        for _ in 0..<min(steps, table.capacity) {
            if table.isOccupied(hand), Int64(table.entry(hand).until) <= now {
                // Another one may stand there now: it is looked at next.
                table.remove(hand, multiplier)
                count -= 1
            } else {
                hand = (hand + 1) & (table.capacity - 1)
            }
        }
    }

    /// The entries that have not expired, for a copy of all that is known.
    package borrowing func entries(now: Int64) -> [RevocationEntry] {
        var all: [RevocationEntry] = []
        all.reserveCapacity(count)
        table.append(to: &all, from: 0, now)
        if isMoving { older.append(to: &all, from: moved, now) }
        return all
    }
    /// Bytes of the tables, touched or not.
    package var bytes: Int { (table.capacity + older.capacity) * RevocationTable.slotBytes }
}

/// Open addressing, never more than three quarters full. Keys stand by themselves, so that a search reads keys alone.
private struct RevocationTable: ~Copyable {
    static let slotBytes = 24

    private var keys: ZeroedArray<UInt64>
    /// `until` above, `before` below.
    private var times: ZeroedArray<UInt64>
    let capacity: Int
    private let shift: UInt64
    private(set) var count = 0

    /// `capacity` is a power of two.
    init(capacity: Int) {
        keys = ZeroedArray(count: capacity * 2)
        times = ZeroedArray(count: capacity)
        self.capacity = capacity
        shift = UInt64(64 - capacity.trailingZeroBitCount)
    }

    private func home(_ high: UInt64, _ multiplier: UInt64) -> Int {
        Int(truncatingIfNeeded: (high &* multiplier) >> shift)
    }
    func isOccupied(_ at: Int) -> Bool { keys[at * 2] | keys[at * 2 + 1] != 0 }
    func entry(_ at: Int) -> RevocationEntry {
        RevocationEntry(
            key: RevocationKey(high: keys[at * 2], low: keys[at * 2 + 1]),
            until: UInt32(truncatingIfNeeded: times[at] >> 32), before: UInt32(truncatingIfNeeded: times[at]))
    }

    func find(_ key: RevocationKey, _ multiplier: UInt64) -> Int? {
        var at = home(key.high, multiplier)
        while true {
            let high = keys[at * 2], low = keys[at * 2 + 1]
            if high == key.high && low == key.low { return at }
            if high | low == 0 { return nil }
            at = (at + 1) & (capacity - 1)
        }
    }

    /// The key is not in the table, and there is room.
    mutating func put(_ entry: RevocationEntry, _ multiplier: UInt64) {
        var at = home(entry.key.high, multiplier)
        while isOccupied(at) { at = (at + 1) & (capacity - 1) }
        keys[at * 2] = entry.key.high
        keys[at * 2 + 1] = entry.key.low
        times[at] = UInt64(entry.until) << 32 | UInt64(entry.before)
        count += 1
    }

    mutating func widen(_ at: Int, by entry: RevocationEntry, now: Int64) -> RevocationSet.Insertion {
        let old = self.entry(at)
        var new = old
        if Int64(old.until) <= now {
            new = entry
        } else {
            new.until = max(old.until, entry.until)
            new.before = old.before == 0 || entry.before == 0 ? 0 : max(old.before, entry.before)
        }
        times[at] = UInt64(new.until) << 32 | UInt64(new.before)
        return new == old ? .known : Int64(old.until) <= now ? .added : .widened
    }

    /// Fills the gap from the run behind it, so that no search ends too early (Knuth 6.4, algorithm R).
    mutating func remove(_ at: Int, _ multiplier: UInt64) {
        let mask = capacity - 1
        var gap = at
        var next = (at + 1) & mask
        while isOccupied(next) {
            let home = home(keys[next * 2], multiplier)
            if (next &- home) & mask >= (next &- gap) & mask {
                keys[gap * 2] = keys[next * 2]
                keys[gap * 2 + 1] = keys[next * 2 + 1]
                times[gap] = times[next]
                gap = next
            }
            next = (next + 1) & mask
        }
        keys[gap * 2] = 0
        keys[gap * 2 + 1] = 0
        times[gap] = 0
        count -= 1
    }

    func append(to all: inout [RevocationEntry], from start: Int, _ now: Int64) {
        for at in start..<capacity where isOccupied(at) {
            let entry = entry(at)
            if Int64(entry.until) > now { all.append(entry) }
        }
    }
}
