// How else servers might read a path: everything that their habits make of it, in any order and any combination.
import Bytes

/// The readings of one path after another: `begin`, look at `current`, `next` while there are more. Owned by a worker; its
/// buffers are kept, so a path allocates nothing once they have grown.
///
/// A habit is applied to each reading, found ones included, until nothing new comes out: servers stand in a row, and each
/// may have its own habits. That is every order and combination, and also more than two rounds of decoding.
package struct PathReadings: ~Copyable {
    package enum Step { case reading, end, tooMany }

    /// More come only from paths built for it: five independent habits make 32.
    package static let maxReadings = 64
    /// What habits may be applied to for one path, all readings together: about half a millisecond. A path of 8 KiB still
    /// gets 16 applications, more than two habits side by side need.
    package static let maxWorkBytes = 128 * 1024

    struct Reading: BitwiseCopyable {
        var start: UInt32 = 0
        var count: UInt32 = 0
        var hash: UInt64 = 0
        var range: Range<Int> { Int(start)..<Int(start) + Int(count) }
    }

    /// All readings, one after the other.
    private var text = ByteBuffer(capacity: 0)
    private var draft = ByteBuffer(capacity: 0)
    private var readings = FixedArray(repeating: Reading(), count: PathReadings.maxReadings)
    private var found = 0
    /// The reading that habits are applied to, and those still to be applied.
    private var source = 0
    private var pending: UInt16 = 0
    private var workBytes = 0

    package init() {}

    /// Starts with a path, which begins with a slash: the first reading is the path itself.
    package mutating func begin(_ path: Span<UInt8>) {
        text.clear()
        text.append(path)
        readings[0] = Reading(start: 0, count: UInt32(truncatingIfNeeded: path.count), hash: Self.hash(path))
        found = 1
        source = 0
        workBytes = path.count
        pending = PathTransform.applicable(to: path)
    }

    /// The reading found last.
    package var current: Span<UInt8> {
        @_lifetime(borrow self) borrowing get { text.bytes.extracting(readings[found - 1].range) }
    }

    /// Looks for another reading. `tooMany`: there may be more than are worth looking for.
    package mutating func next() -> Step {
        while true {
            while pending == 0 {
                source += 1
                if source == found { return .end }
                pending = PathTransform.applicable(to: text.bytes.extracting(readings[source].range))
            }
            guard let habit = PathTransform(rawValue: UInt8(truncatingIfNeeded: pending.trailingZeroBitCount)) else {
                return .end
            }
            pending &= pending &- 1
            workBytes += Int(readings[source].count)
            if workBytes > Self.maxWorkBytes { return .tooMany }
            draft.clear()
            write(habit, text, readings[source].range, to: &draft)
            if isNew() { return keep() }
        }
    }

    private func isNew() -> Bool {
        let hash = Self.hash(draft.bytes)
        for i in 0..<found where readings[i].hash == hash && Int(readings[i].count) == draft.count {
            if isEqual(text.bytes.extracting(readings[i].range), draft.bytes) { return false }
        }
        return true
    }

    private mutating func keep() -> Step {
        if found == Self.maxReadings { return .tooMany }
        let reading = Reading(
            start: UInt32(truncatingIfNeeded: text.count), count: UInt32(truncatingIfNeeded: draft.count),
            hash: Self.hash(draft.bytes))
        readings[found] = reading
        found += 1
        append(draft, to: &text)
        return .reading
    }

    /// Only tells readings apart quickly: equal hashes are followed by a comparison.
    private static func hash(_ bytes: Span<UInt8>) -> UInt64 {
        var hash = UInt64(truncatingIfNeeded: bytes.count)
        var i = 0
        while i + 8 <= bytes.count {
            hash = (hash ^ bytes.word(at: i)) &* 0x9e37_79b9_7f4a_7c15
            hash ^= hash >> 29
            i += 8
        }
        while i < bytes.count {
            hash = (hash ^ UInt64(bytes[i])) &* 0x9e37_79b9_7f4a_7c15
            i += 1
        }
        return hash
    }
}

private func write(
    _ habit: PathTransform, _ text: borrowing ByteBuffer, _ range: Range<Int>, to draft: inout ByteBuffer
) {
    draft.reserve(range.count)
    var out = draft.free
    let count = habit.apply(to: text.bytes.extracting(range), &out)
    draft.commit(count)
}

private func append(_ draft: borrowing ByteBuffer, to text: inout ByteBuffer) { text.append(draft.bytes) }

private func isEqual(_ a: Span<UInt8>, _ b: Span<UInt8>) -> Bool {
    guard a.count == b.count else { return false }
    for i in 0..<a.count where a[i] != b[i] { return false }
    return true
}
