// The fields of an answer as HTTP/2 wants them: names in lower case, and none that speak of a connection.
import Bytes

struct FieldList {
    struct Field {
        var name: Range<Int>
        var value: Range<Int>
    }
    private(set) var text: [UInt8] = []
    private(set) var fields: [Field] = []

    /// Of an answer's head.
    init(status: Int) {
        text.append(contentsOf: ":status\(status)".utf8)
        fields.append(Field(name: 0..<7, value: 7..<text.count))
    }
    /// Of trailers.
    init() {}

    /// Lines of `name: value CRLF`, of which ours to write are in order.
    mutating func add(_ lines: borrowing Span<UInt8>) {
        var i = 0
        while i < lines.count {
            let colon = lines.first(UInt8(ascii: ":"), from: i, to: lines.count)
            let end = lines.first(UInt8(ascii: "\r"), from: i, to: lines.count)
            if colon < end && !isForbidden(lines, i, colon - i) { addField(lines, i..<colon, colon + 1..<end) }
            i = end + 2
        }
    }

    private mutating func addField(_ lines: borrowing Span<UInt8>, _ name: Range<Int>, _ value: Range<Int>) {
        let start = text.count
        for j in name { text.append(lines[j] &- UInt8(ascii: "A") < 26 ? lines[j] | 0x20 : lines[j]) }
        let nameEnd = text.count
        var from = value.lowerBound, to = value.upperBound
        while from < to, lines[from] == UInt8(ascii: " ") || lines[from] == UInt8(ascii: "\t") { from += 1 }
        while from < to, lines[to - 1] == UInt8(ascii: " ") || lines[to - 1] == UInt8(ascii: "\t") { to -= 1 }
        for j in from..<to { text.append(lines[j]) }
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
