// The fields of one message: the bytes as they came and where in them each name and value lies.
import Bytes

/// Field lines in one byte arena, "name: value CRLF" each, with an array of ranges; searched plainly, because a head has
/// ten fields. Arena and array are kept when the next message is parsed, so a message costs no allocation.
package struct HeaderFields: ~Copyable {
    /// Where one field lies in the arena.
    struct Position: BitwiseCopyable {
        var name: UInt32 = 0
        var value: UInt32 = 0
        var valueEnd: UInt32 = 0
        var nameCount: UInt16 = 0
        var id = FieldName.other
        /// The known name that this one is for those who read `_` as `-`; `id` for names without `_`.
        var alias = FieldName.other
        /// Of a known name its bit in a `FieldSet`, of another the one in a filter's sketch.
        var mark: UInt64 = 0
    }

    /// Bytes of an arena that are kept between messages; a larger one is given back.
    static var keptSize: Int { 8 * 1024 }

    var arena = ByteBuffer(capacity: 2048)
    /// One more than there are fields: the last one's `name` is where the fields end.
    var positions = FixedArray(repeating: Position(), count: 33)
    /// Fields of the message.
    package internal(set) var count = 0
    /// Known names that are there at all, and those that are there more than once.
    var seen = FieldSet()
    var repeated = FieldSet()
    /// The sketch of the unknown names, see `FieldFilter`.
    var otherNames: UInt64 = 0
    /// A bit for each length of a name that Connection nominates.
    var nominatedLengths: UInt64 = 0
    var hasUnderscores = false
    /// What the fields say about the connection (RFC 9112 section 9.3).
    var closes = false
    var keepsAlive = false
    var optionCount = 0
    /// What they say about the body; -1: no Content-Length.
    var contentLength: Int64 = -1
    var isChunked = false

    init() {}

    /// Forgets the message, and gives back what a large one took.
    mutating func clear() {
        if arena.count > Self.keptSize { arena = ByteBuffer(capacity: 2048) }
        arena.clear()
        forget()
    }

    /// Forgets what was learned about the last message.
    mutating func forget() {
        count = 0
        seen = FieldSet()
        repeated = FieldSet()
        otherNames = 0
        nominatedLengths = 0
        hasUnderscores = false
        closes = false
        keepsAlive = false
        optionCount = 0
        contentLength = -1
        isChunked = false
    }

    /// Doubles the room for fields; happens a few times in the life of a head, never again for messages of that size.
    mutating func growPositions() {
        var wider = FixedArray(repeating: Position(), count: positions.count * 2)
        for k in 0..<positions.count { wider[k] = positions[k] }
        positions = wider
    }
}

extension HeaderFields {
    package var bytes: Span<UInt8> { @_lifetime(borrow self) borrowing get { arena.bytes } }

    /// The field at `k` in the order of the message.
    package borrowing func name(at k: Int) -> Range<Int> {
        precondition(k < count)
        let start = Int(positions[k].name)
        return start..<start + Int(positions[k].nameCount)
    }
    package borrowing func value(at k: Int) -> Range<Int> {
        precondition(k < count)
        return Int(positions[k].value)..<Int(positions[k].valueEnd)
    }
    package borrowing func id(at k: Int) -> FieldName {
        precondition(k < count)
        return positions[k].id
    }

    package func contains(_ name: FieldName) -> Bool { seen.contains(name) }

    /// The value of the first field of that name, without the blanks around it.
    package borrowing func value(of name: FieldName) -> Range<Int>? {
        guard seen.contains(name) else { return nil }
        for k in 0..<count where positions[k].id == name { return value(at: k) }
        return nil
    }

    /// How many fields have that name.
    package borrowing func count(of name: FieldName) -> Int {
        if !repeated.contains(name) { return seen.contains(name) ? 1 : 0 }
        var total = 0
        for k in 0..<count where positions[k].id == name { total += 1 }
        return total
    }

    /// The value of the first field whose name, in lower case and with `-` for `_`, is `name`.
    package borrowing func value(named name: borrowing Span<UInt8>) -> Range<Int>? {
        let all = arena.bytes
        for k in 0..<count where Int(positions[k].nameCount) == name.count {
            let start = Int(positions[k].name)
            var j = 0
            while j < name.count, name[j] == foldName(all[start + j]) { j += 1 }
            if j == name.count { return value(at: k) }
        }
        return nil
    }

    /// The same where something depends on it: nil when several fields have that name, when it is spelled with `_`, or when
    /// Connection names it. Which of several a server believes is not known, and the others may not be passed on.
    package borrowing func soleValue(named name: borrowing Span<UInt8>) -> Range<Int>? {
        let all = arena.bytes
        var found: Int?
        for k in 0..<count where Int(positions[k].nameCount) == name.count {
            let start = Int(positions[k].name)
            var j = 0
            while j < name.count, name[j] == foldName(all[start + j]) { j += 1 }
            if j < name.count { continue }
            if found != nil || hasUnderscore(k) { return nil }
            found = k
        }
        guard let found, nominatedLengths == 0 || !isNominated(found) else { return nil }
        return value(at: found)
    }

    /// The value of the only Upgrade field, if Connection names it: without that it was meant for somebody before us.
    borrowing func nominatedUpgrade() -> Range<Int>? {
        guard count(of: .upgrade) == 1 else { return nil }
        for k in 0..<count where positions[k].id == .upgrade { return isNominated(k) ? value(at: k) : nil }
        return nil
    }

    private borrowing func hasUnderscore(_ k: Int) -> Bool {
        guard hasUnderscores else { return false }
        let all = arena.bytes
        for i in name(at: k) where all[i] == UInt8(ascii: "_") { return true }
        return false
    }
}
