// Field lines of HTTP/1, strict: CRLF only, no folding, no blank before the colon (RFC 9112 sections 2.2, 5.1, 5.2).
import Bytes

extension HeaderFields {
    /// Parses the field lines from `start` to the empty line, and keeps the whole of `s` up to there in the arena.
    /// Ranges count from the beginning of `s`; `complete` says where the head ends.
    mutating func parse(_ s: Span<UInt8>, from start: Int, limits: HTTPLimits) -> ParseResult {
        forget()
        var i = start
        var k = 0
        var room = min(positions.count - 1, limits.fieldCount)
        while let line = s.fieldLine(from: i), line.next &- i &- 2 <= limits.lineSize,
            line.nameEnd &- i <= Int(UInt16.max)
        {
            if k == room {
                if k == limits.fieldCount { return .failed(.tooManyFields) }
                growPositions()
                room = min(positions.count - 1, limits.fieldCount)
            }
            if let error = keep(line, s, i, at: k) { return .failed(error) }
            i = line.next
            k += 1
        }
        return finish(s, i, k, limits)
    }

    /// At `i`, behind `k` fields, there is no further field line: it is the end of the head, or why there is none.
    private mutating func finish(_ s: Span<UInt8>, _ i: Int, _ k: Int, _ limits: HTTPLimits) -> ParseResult {
        guard i < s.count else { return stalled(s, i, limits) }
        if s[i] != UInt8(ascii: "\r") {
            return k == limits.fieldCount ? .failed(.tooManyFields) : judge(s, i, limits)
        }
        guard i + 1 < s.count else { return .incomplete }
        if s[i + 1] != UInt8(ascii: "\n") { return .failed(.lineEnd) }
        if i + 2 > limits.headSize { return .failed(.headTooLarge) }
        positions[k].name = UInt32(truncatingIfNeeded: i)
        count = k
        if arena.count > Self.keptSize { arena = ByteBuffer(capacity: 2048) }
        arena.clear()
        arena.append(s.extracting(0..<i + 2))
        return .complete(i + 2)
    }

    /// More bytes are needed, unless there are too many already.
    private func stalled(_ s: borrowing Span<UInt8>, _ line: Int, _ limits: HTTPLimits) -> ParseResult {
        if s.count - line > limits.lineSize + 1 { return .failed(.fieldTooLong) }
        return s.count >= limits.headSize ? .failed(.headTooLarge) : .incomplete
    }

    /// What is wrong with the line from `i`, of which is known that it is not whole, not in order or too long.
    private func judge(_ s: borrowing Span<UInt8>, _ i: Int, _ limits: HTTPLimits) -> ParseResult {
        let colon = s.endOfName(from: i).end
        if colon == s.count { return stalled(s, i, limits) }
        if s[colon] != UInt8(ascii: ":") || colon == i { return .failed(misnamed(s, i, colon)) }
        let end = s.endOfValue(from: colon + 1)
        if end - i > limits.lineSize || colon - i > Int(UInt16.max) { return .failed(.fieldTooLong) }
        if end == s.count { return stalled(s, i, limits) }
        if s[end] != UInt8(ascii: "\r") { return .failed(s[end] == UInt8(ascii: "\n") ? .lineEnd : .fieldValue) }
        return end + 1 == s.count ? stalled(s, i, limits) : .failed(.lineEnd)
    }

    /// Notes the line from `i` as the field at `k`, and what it says about the message.
    @inline(__always)
    private mutating func keep(
        _ line: FieldLine, _ s: borrowing Span<UInt8>, _ i: Int, at k: Int
    ) -> MessageError? {
        let nameCount = line.nameEnd &- i
        let id = FieldName(s, i, nameCount)
        var position = Position(
            name: UInt32(truncatingIfNeeded: i), value: UInt32(truncatingIfNeeded: line.value),
            valueEnd: UInt32(truncatingIfNeeded: line.valueEnd), nameCount: UInt16(truncatingIfNeeded: nameCount),
            id: id, alias: id, mark: id.bit)
        var error: MessageError?
        if id == .other {
            position.mark = sketchBit(s[i], s[line.nameEnd &- 1], nameCount)
            if line.hasUnderscore { position.alias = alias(s, i..<line.nameEnd) }
            otherNames |= position.mark
        } else {
            error = note(id, s, line.value, line.valueEnd)
        }
        positions[k] = position
        return error
    }

    private func misnamed(_ s: borrowing Span<UInt8>, _ i: Int, _ end: Int) -> MessageError {
        if end == i, isBlank(s[i]) { return .foldedLine }
        return s[end] == UInt8(ascii: "\n") || s[end] == UInt8(ascii: "\r") && end == i ? .lineEnd : .fieldName
    }

    /// What a name with `_` is to those who read it as `-`: `Transfer_Encoding` means nothing here, but a CGI program behind
    /// an upstream reads `HTTP_TRANSFER_ENCODING`. The fixed names are kept by every filter, their misspelt forms by none:
    /// these count as a name that all of them drop.
    private mutating func alias(_ s: borrowing Span<UInt8>, _ name: Range<Int>) -> FieldName {
        hasUnderscores = true
        var folded = InlineArray<32, UInt8>(repeating: 0)
        guard name.count <= folded.count else { return .other }
        for j in 0..<name.count { folded[j] = foldName(s[name.lowerBound + j]) }
        let alias = FieldName(folded.span, 0, name.count)
        return FieldSet.fixed.contains(alias) ? .transferEncoding : alias
    }
}

extension HeaderFields {
    /// Notes a known name, and what its value says about the message.
    @inline(__always)
    private mutating func note(_ id: FieldName, _ s: borrowing Span<UInt8>, _ value: Int, _ end: Int) -> MessageError? {
        if seen.contains(id) { repeated.bits |= id.bit }
        seen.bits |= id.bit
        guard FieldSet.read.contains(id) else { return nil }
        switch id {
        case .contentLength: return noteContentLength(s, value, end)
        case .transferEncoding: return noteTransferEncoding(s, value, end)
        case .connection: return noteConnection(s, value, end)
        default: return nil
        }
    }

    /// Digits only, once. RFC 9110 section 8.6 lets a list of equal lengths pass; we do not, for nobody sends one in
    /// good faith. 18 digits fit an Int64, whatever they are.
    private mutating func noteContentLength(_ s: borrowing Span<UInt8>, _ value: Int, _ end: Int) -> MessageError? {
        if repeated.contains(.contentLength) || value == end || end - value > 18 { return .contentLength }
        var length: Int64 = 0
        for j in value..<end {
            let digit = s[j] &- UInt8(ascii: "0")
            if digit > 9 { return .contentLength }
            length = length &* 10 &+ Int64(digit)
        }
        contentLength = length
        return nil
    }

    /// `chunked` alone is understood. Any other coding under a final `chunked` could be, but is not (501, RFC 9112
    /// section 6.1); everything else leaves open where the body ends, which is what smuggling lives on.
    private mutating func noteTransferEncoding(_ s: borrowing Span<UInt8>, _ value: Int, _ end: Int) -> MessageError? {
        if repeated.contains(.transferEncoding) { return .transferEncoding }
        var others = 0
        var i = value
        while true {
            let element = s.listElement(from: i, to: end)
            let isFinal = element.next > end
            if element.equals("chunked", in: s) {
                if !isFinal { return .transferEncoding }
                isChunked = true
                return others == 0 ? nil : .transferCoding
            }
            if isFinal || element.start == element.end { return .transferEncoding }
            others += 1
            i = element.next
        }
    }

    /// Connection options (RFC 9110 section 7.6.1): `close`, `keep-alive`, and names of fields meant for us alone.
    private mutating func noteConnection(_ s: borrowing Span<UInt8>, _ value: Int, _ end: Int) -> MessageError? {
        var i = value
        while i < end {
            let element = s.listElement(from: i, to: end)
            if element.equals("close", in: s) {
                closes = true
            } else if element.equals("keep-alive", in: s) {
                keepsAlive = true
            } else if element.start < element.end {
                nominatedLengths |= lengthBit(element.end - element.start)
            }
            optionCount += 1
            if optionCount > HTTPLimits.connectionOptionCount { return .tooManyOptions }
            i = element.next
        }
        return nil
    }
}

/// One element of a comma list, without the blanks around it, and where the next one begins (past the end: none).
struct ListElement {
    var start: Int
    var end: Int
    var next: Int

    @inline(__always)
    func equals(_ literal: StaticString, in s: borrowing Span<UInt8>) -> Bool {
        end - start == literal.utf8CodeUnitCount && s.folds(start, to: literal)
    }
}

extension Span where Element == UInt8 {
    func listElement(from i: Int, to limit: Int) -> ListElement {
        var end = i
        while end < limit, self[end] != UInt8(ascii: ",") { end += 1 }
        var element = ListElement(start: i, end: end, next: end + 1)
        while element.start < element.end, isBlank(self[element.start]) { element.start += 1 }
        while element.end > element.start, isBlank(self[element.end - 1]) { element.end -= 1 }
        return element
    }
}

/// OWS (RFC 9110 section 5.6.3).
@inline(__always)
func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
