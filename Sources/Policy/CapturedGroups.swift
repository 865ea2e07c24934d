// What the named groups of a location's regular expression took of a path, for rules that look at it.
import Bytes

/// Values in the order of the location's names; one per worker, filled for locations whose rules need it. Each is decoded once,
/// since claims are compared with what a path means and not with how it is spelled.
package struct CapturedGroups: ~Copyable {
    private var text = ByteBuffer(capacity: 64)
    private var ends: [Int] = []

    package init() {}

    package var count: Int { ends.count }

    package mutating func clear() {
        text.clear()
        ends.removeAll(keepingCapacity: true)
    }

    mutating func append(_ group: borrowing Span<UInt8>, folds: Bool) {
        var i = 0
        while i < group.count {
            var byte = group[i]
            i += 1
            if byte == UInt8(ascii: "%"), i + 1 < group.count, let high = Self.digit(group[i]),
                let low = Self.digit(group[i + 1])
            {
                byte = high << 4 | low
                i += 2
            }
            if folds, byte &- UInt8(ascii: "A") < 26 { byte |= 0x20 }
            text.append(byte: byte)
        }
        ends.append(text.count)
    }

    /// Empty when the group took no part in the match.
    package subscript(i: Int) -> Span<UInt8> {
        @_lifetime(borrow self) borrowing get {
            guard ends.indices.contains(i) else { return text.bytes.extracting(0..<0) }
            return text.bytes.extracting((i == 0 ? 0 : ends[i - 1])..<ends[i])
        }
    }

    borrowing func isEqual(to other: borrowing CapturedGroups) -> Bool {
        ends == other.ends && text.bytes.isEqual(to: other.text.bytes)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte & 15
        case 0x41...0x46, 0x61...0x66: (byte & 15) + 9
        default: nil
        }
    }
}
