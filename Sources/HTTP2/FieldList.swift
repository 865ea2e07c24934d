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
        // Stands before all fields, wherever Host does.
        let authority = fields.count
        add(":authority", text, 0..<0)
        add(":path", text, methodEnd + 1..<targetEnd)
        var isCall = false, saysTE = false, hasHost = false
        var i = start
        while i < text.count {
            guard let line = text.fieldLine(from: i) else {
                i = Self.next(text, behind: i)
                continue
            }
            let name = i..<line.nameEnd, value = line.value..<line.valueEnd
            i = line.next
            switch name.count {
            case 4 where text.folds(name.lowerBound, to: "host"):
                hasHost = true
                fields[authority].value = append(text, value)
                continue
            case 2 where text.folds(name.lowerBound, to: "te"): saysTE = true
            case 12 where text.folds(name.lowerBound, to: "content-type"):
                isCall = text.matches(value.lowerBound, "application/grpc")
            default: if isForbidden(text, name) { continue }
            }
            add(text, name, value)
        }
        if !hasHost { fields.remove(at: authority) }
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
        fields.append(Field(name: start..<self.text.count, value: append(text, value)))
    }
    private mutating func append(_ text: borrowing Span<UInt8>, _ value: Range<Int>) -> Range<Int> {
        let start = self.text.count
        self.text.append(text.extracting(value))
        return start..<self.text.count
    }

    /// Begins trailers.
    package mutating func begin() {
        text.clear()
        fields.removeAll(keepingCapacity: true)
    }

    /// Lines of `name: value CRLF`, in the form that messages of HTTP/1 have. What is no such line is left out.
    package mutating func add(_ lines: borrowing Span<UInt8>) {
        var i = 0
        while i < lines.count {
            guard let line = lines.fieldLine(from: i) else {
                i = Self.next(lines, behind: i)
                continue
            }
            if !isForbidden(lines, i..<line.nameEnd) { add(lines, i..<line.nameEnd, line.value..<line.valueEnd) }
            i = line.next
        }
    }
    private static func next(_ lines: borrowing Span<UInt8>, behind i: Int) -> Int {
        min(lines.endOfLine(from: i) + 1, lines.count)
    }

    private mutating func add(_ lines: borrowing Span<UInt8>, _ name: Range<Int>, _ value: Range<Int>) {
        let start = text.count
        text.append(lowercasing: lines.extracting(name))
        fields.append(Field(name: start..<text.count, value: append(lines, value)))
    }

    /// RFC 9113 section 8.2.2.
    private func isForbidden(_ s: borrowing Span<UInt8>, _ name: Range<Int>) -> Bool {
        let i = name.lowerBound
        return switch name.count {
        case 7: s.folds(i, to: "upgrade")
        case 10: s.folds(i, to: "connection") || s.folds(i, to: "keep-alive")
        case 16: s.folds(i, to: "proxy-connection")
        case 17: s.folds(i, to: "transfer-encoding")
        default: name.isEmpty
        }
    }
}
