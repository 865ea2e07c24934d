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
    /// Takes a request's head in the form that HTTP/1 has it. Calls of gRPC say what their servers ask for (`te: trailers`
    /// travels no further than one connection).
    package mutating func take(request text: borrowing Span<UInt8>, scheme: StaticString) {
        begin()
        let methodEnd = text.first(UInt8(ascii: " "), from: 0, to: text.count)
        let targetEnd = text.first(UInt8(ascii: " "), from: methodEnd + 1, to: text.count)
        let start = text.first(UInt8(ascii: "\n"), from: targetEnd, to: text.count) + 1
        add(":method", text, 0..<methodEnd)
        add(":scheme", scheme)
        var isCall = false
        var saysTE = false
        var i = start
        while i < text.count {
            let colon = text.first(UInt8(ascii: ":"), from: i, to: text.count)
            let end = text.first(UInt8(ascii: "\r"), from: i, to: text.count)
            if colon - i == 4 && text.folds(i, to: "host") { add(":authority", text, colon + 2..<end) }
            if colon - i == 2 && text.folds(i, to: "te") { saysTE = true }
            if colon - i == 12 && text.folds(i, to: "content-type") {
                isCall = text.matches(colon + 2, "application/grpc")
            }
            i = end + 2
        }
        add(":path", text, methodEnd + 1..<targetEnd)
        add(text.extracting(start..<text.count), dropsHost: true)
        if isCall && !saysTE { add("te", "trailers") }
    }
    private mutating func add(_ name: StaticString, _ value: StaticString) {
        let start = text.count
        text.append(name)
        let nameEnd = text.count
        text.append(value)
        fields.append(Field(name: start..<nameEnd, value: nameEnd..<text.count))
    }
    private mutating func add(_ name: StaticString, _ text: borrowing Span<UInt8>, _ value: Range<Int>) {
        let start = self.text.count
        self.text.append(name)
        let nameEnd = self.text.count
        self.text.append(text.extracting(value))
        fields.append(Field(name: start..<nameEnd, value: nameEnd..<self.text.count))
    }

    /// Begins trailers.
    package mutating func begin() {
        text.clear()
        fields.removeAll(keepingCapacity: true)
    }

    /// Lines of `name: value CRLF`, in the form that messages of HTTP/1 have. What is no such line is left out.
    package mutating func add(_ lines: borrowing Span<UInt8>, dropsHost: Bool = false) {
        var i = 0
        while i < lines.count {
            guard let line = lines.fieldLine(from: i) else {
                i = min(lines.first(UInt8(ascii: "\n"), from: i, to: lines.count) + 1, lines.count)
                continue
            }
            let isHost = dropsHost && line.nameEnd - i == 4 && lines.folds(i, to: "host")
            if !isHost && !isForbidden(lines, i, line.nameEnd - i) {
                add(lines, i..<line.nameEnd, line.value..<line.valueEnd)
            }
            i = line.next
        }
    }

    private mutating func add(_ lines: borrowing Span<UInt8>, _ name: Range<Int>, _ value: Range<Int>) {
        let start = text.count
        text.append(lowercasing: lines.extracting(name))
        let nameEnd = text.count
        text.append(lines.extracting(value))
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
