// The fields of an answer as HTTP/2 wants them: names in lower case, and none that speak of a connection.
import Bytes

/// Made anew for each answer in memory that is kept.
package struct FieldList: ~Copyable {
    struct Field {
        var name: Range<Int>
        var value: Range<Int>
    }
    private(set) var text = ByteBuffer(capacity: 1024)
    private(set) var fields: [Field] = []

    package init() {}

    /// Begins the head of an answer.
    package mutating func begin(status: Int) {
        begin()
        text.append(":status")
        for place in [100, 10, 1] { text.append(byte: UInt8(ascii: "0") + UInt8(status / place % 10)) }
        fields.append(Field(name: 0..<7, value: 7..<10))
    }
    /// Begins trailers.
    package mutating func begin() {
        text.clear()
        fields.removeAll(keepingCapacity: true)
    }

    /// Lines of `name: value CRLF`, in the form that messages of HTTP/1 have.
    package mutating func add(_ lines: borrowing Span<UInt8>) {
        var i = 0
        while i < lines.count {
            let colon = lines.first(UInt8(ascii: ":"), from: i, to: lines.count)
            let end = lines.first(UInt8(ascii: "\r"), from: i, to: lines.count)
            if colon < end && !isForbidden(lines, i, colon - i) { add(lines, i..<colon, colon + 1..<end) }
            i = end + 2
        }
    }

    private mutating func add(_ lines: borrowing Span<UInt8>, _ name: Range<Int>, _ value: Range<Int>) {
        let start = text.count
        text.reserve(name.count + value.count)
        for j in name { text.append(byte: lines[j] &- UInt8(ascii: "A") < 26 ? lines[j] | 0x20 : lines[j]) }
        let nameEnd = text.count
        var from = value.lowerBound, to = value.upperBound
        while from < to, lines[from] == UInt8(ascii: " ") || lines[from] == UInt8(ascii: "\t") { from += 1 }
        while from < to, lines[to - 1] == UInt8(ascii: " ") || lines[to - 1] == UInt8(ascii: "\t") { to -= 1 }
        text.append(lines.extracting(from..<to))
        fields.append(Field(name: start..<nameEnd, value: nameEnd..<text.count))
    }

    /// RFC 9113 section 8.2.2.
    private func isForbidden(_ s: borrowing Span<UInt8>, _ i: Int, _ count: Int) -> Bool {
        switch count {
        case 7: s.folds(i, to: "upgrade")
        case 10: s.folds(i, to: "connection") || s.folds(i, to: "keep-alive")
        case 16: s.folds(i, to: "proxy-connection")
        case 17: s.folds(i, to: "transfer-encoding")
        default: count == 0
        }
    }
}
