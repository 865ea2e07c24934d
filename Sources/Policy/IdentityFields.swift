// The claims that are kept of a credential beside subject and permissions: fields one behind the other, with a table of their
// ends before them, so that a question reads one of them and no other.
import Bytes

/// What a kept claim is.
package enum ClaimShape: UInt8, Sendable, BitwiseCopyable {
    /// Not there, or null.
    case absent
    /// There, but nothing that can be compared: an object, or longer than what is kept.
    case other
    case text, number, flag
    /// An array of scalars: its elements, encoded, with commas between.
    case list
}

/// Which list of an identity is asked.
package enum IdentityList: UInt8, Sendable, BitwiseCopyable { case permissions, scopes, roles }

/// Collects fields; a worker has one. `append(to:)` writes the table and the fields.
struct IdentityFields: ~Copyable {
    /// Scopes, roles, and as many claims as one configuration may name.
    static let maximumCount = 2 + 64
    /// Bytes before the fields: the end of each, and its shape.
    static func tableBytes(_ count: Int) -> Int { count * 5 }

    var text = ByteBuffer(capacity: 1024)
    private var ends = FixedArray(repeating: UInt32(0), count: maximumCount)
    private var shapes = FixedArray(repeating: ClaimShape.absent, count: maximumCount)
    private(set) var count = 0

    mutating func begin() {
        text.clear()
        count = 0
    }

    /// The field is what was written to `text` since the last one ended.
    mutating func end(_ shape: ClaimShape) {
        ends[count] = UInt32(truncatingIfNeeded: text.count)
        shapes[count] = shape
        count += 1
    }

    borrowing func append(to out: inout ByteBuffer) {
        for i in 0..<count {
            for shift in stride(from: 0 as UInt32, to: 32, by: 8) {
                out.append(byte: UInt8(truncatingIfNeeded: ends[i] >> shift))
            }
        }
        for i in 0..<count { out.append(byte: shapes[i].rawValue) }
        out.append(text.bytes)
    }

    /// Reading what `append` wrote.
    static func shape(_ field: Int, count: Int, in all: borrowing Span<UInt8>) -> ClaimShape {
        ClaimShape(rawValue: all[count * 4 + field]) ?? .absent
    }
    static func range(_ field: Int, count: Int, in all: borrowing Span<UInt8>) -> Range<Int> {
        let start = field == 0 ? 0 : end(field - 1, all)
        let first = tableBytes(count)
        return first + start..<first + end(field, all)
    }
    private static func end(_ field: Int, _ all: borrowing Span<UInt8>) -> Int {
        var value = 0
        for k in 0..<4 { value |= Int(all[field * 4 + k]) << (8 * k) }
        return value
    }
}
