// Strict pull reading of a JSON document that lies in a span: one pass, no recursion, nothing allocated after `init`.
import Bytes

/// Gives the events of one document after the other. What it hands out is only to be believed once `.end` was reached: an
/// error may lie further on.
package struct JSONReader: ~Copyable {
    /// What the grammar allows next.
    private enum Expectation: UInt8 { case value, firstElement, firstName, afterValue }

    /// One open container.
    struct Frame: BitwiseCopyable {
        var isObject = false
        /// Where its names begin in `names`.
        var firstName: Int32 = 0
        /// One bit for each hash of a name that was met: a name whose bit is not set needs no comparing.
        var seen: UInt64 = 0
    }

    /// A name of an open object.
    struct Name: BitwiseCopyable {
        var hash: UInt64 = 0
        var event = JSONEvent(.name, 0, 0)
    }

    private let maximumDepth: Int
    private let maximumMembers: Int
    private var frames: FixedArray<Frame>
    private var names: FixedArray<Name>
    private var at = 0
    private var depth = 0
    private var nameCount = 0
    private var members = 0
    private var expected = Expectation.value

    /// The limits are those of a token (RFC 8725 section 3): deep enough for every claim that is in use, and small enough
    /// that comparing every name with every other stays cheaper than checking the signature.
    /// - Parameter names: members of the containers that are open at one time; as many as `members`, unless said.
    package init(depth: Int = 16, members: Int = 256, names: Int? = nil) {
        maximumDepth = depth
        maximumMembers = members
        frames = FixedArray(repeating: Frame(), count: depth)
        self.names = FixedArray(repeating: Name(), count: names ?? members)
    }

    /// Forgets everything: the next event is the first of a new document.
    package mutating func begin() {
        at = 0
        depth = 0
        nameCount = 0
        members = 0
        expected = .value
    }

    /// Bytes of the document that were read: behind an error, about where it is.
    package var offset: Int { at }

    /// The next event of the document that was begun; `.end` once, behind the whole of it.
    package mutating func next(_ document: borrowing Span<UInt8>) throws(JSONError) -> JSONEvent {
        skipSpace(document)
        switch expected {
        case .value: return try value(document)
        case .firstElement: return peek(document) == UInt8(ascii: "]") ? close(.endArray) : try value(document)
        case .firstName: return peek(document) == UInt8(ascii: "}") ? close(.endObject) : try name(document)
        case .afterValue: return try afterValue(document)
        }
    }

    /// Reads on to the end of the value that `event` begins, and gives the event with the range of the whole value.
    @discardableResult
    package mutating func skip(
        _ event: JSONEvent, _ document: borrowing Span<UInt8>
    ) throws(JSONError) -> JSONEvent {
        guard event.kind == .beginObject || event.kind == .beginArray else { return event }
        let outside = depth - 1
        while depth > outside { _ = try next(document) }
        return JSONEvent(event.kind, Int(event.start), at)
    }

    private mutating func afterValue(_ document: borrowing Span<UInt8>) throws(JSONError) -> JSONEvent {
        guard depth > 0 else {
            guard at == document.count else { throw .syntax }
            return JSONEvent(.end, at, at)
        }
        let isObject = frames[depth - 1].isObject
        switch peek(document) {
        case UInt8(ascii: ","):
            at += 1
            skipSpace(document)
            return isObject ? try name(document) : try value(document)
        case UInt8(ascii: "}") where isObject: return close(.endObject)
        case UInt8(ascii: "]") where !isObject: return close(.endArray)
        default: throw .syntax
        }
    }

    private mutating func value(_ document: borrowing Span<UInt8>) throws(JSONError) -> JSONEvent {
        let start = at
        switch peek(document) {
        case UInt8(ascii: "\""): return try string(document, .string)
        case UInt8(ascii: "{"): return try open(isObject: true)
        case UInt8(ascii: "["): return try open(isObject: false)
        case UInt8(ascii: "t"): try word("true", document)
        case UInt8(ascii: "f"): try word("false", document)
        case UInt8(ascii: "n"): try word("null", document)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number(document)
        default: throw .syntax
        }
        expected = .afterValue
        return JSONEvent(at - start == 5 ? .no : document[start] == UInt8(ascii: "t") ? .yes : .null, start, at)
    }

    private mutating func open(isObject: Bool) throws(JSONError) -> JSONEvent {
        guard depth < maximumDepth else { throw .depth }
        frames[depth] = Frame(isObject: isObject, firstName: Int32(truncatingIfNeeded: nameCount))
        depth += 1
        at += 1
        expected = isObject ? .firstName : .firstElement
        return JSONEvent(isObject ? .beginObject : .beginArray, at - 1, at)
    }

    private mutating func close(_ kind: JSONEvent.Kind) -> JSONEvent {
        depth -= 1
        nameCount = Int(frames[depth].firstName)
        at += 1
        expected = .afterValue
        return JSONEvent(kind, at - 1, at)
    }

    private mutating func name(_ document: borrowing Span<UInt8>) throws(JSONError) -> JSONEvent {
        guard peek(document) == UInt8(ascii: "\"") else { throw .syntax }
        let event = try string(document, .name)
        try remember(event, document)
        skipSpace(document)
        guard peek(document) == UInt8(ascii: ":") else { throw .syntax }
        at += 1
        expected = .value
        return event
    }

    /// Refuses a second member with one name: two parsers that choose differently are two tokens in one (RFC 7515
    /// section 4, RFC 7519 section 10.12).
    private mutating func remember(_ event: JSONEvent, _ document: borrowing Span<UInt8>) throws(JSONError) {
        guard members < maximumMembers, nameCount < names.count else { throw .members }
        members += 1
        let hash = Self.hash(event, document)
        let bit = UInt64(1) << UInt64(hash & 63)
        if frames[depth - 1].seen & bit != 0 {
            for i in Int(frames[depth - 1].firstName)..<nameCount where names[i].hash == hash {
                if Self.sameText(names[i].event, event, document) { throw .duplicate }
            }
        }
        frames[depth - 1].seen |= bit
        names[nameCount] = Name(hash: hash, event: event)
        nameCount += 1
    }

    /// Of the text, eight bytes at a time, however it is spelled.
    private static func hash(_ event: JSONEvent, _ document: borrowing Span<UInt8>) -> UInt64 {
        var hash: UInt64 = 0
        guard event.isEscaped else {
            var at = Int(event.start)
            let end = Int(event.end)
            while end - at >= 8 {
                hash = mixed(hash, document.word(at: at))
                at += 8
            }
            return mixed(hash, partialWord(document, at, end))
        }
        var text = JSONText(event)
        var word: UInt64 = 0
        var bits: UInt64 = 0
        var byte = text.next(document)
        while byte >= 0 {
            word |= UInt64(truncatingIfNeeded: byte) << bits
            bits += 8
            if bits == 64 {
                hash = mixed(hash, word)
                word = 0
                bits = 0
            }
            byte = text.next(document)
        }
        return mixed(hash, word)
    }

    /// The bytes of `at..<end`, fewer than eight, lowest address lowest.
    private static func partialWord(_ document: borrowing Span<UInt8>, _ at: Int, _ end: Int) -> UInt64 {
        // A string lies inside quotes, and most documents go on for longer than that.
        if at + 8 <= document.count { return document.word(at: at) & ~(.max << UInt64((end - at) * 8)) }
        var word: UInt64 = 0
        for i in at..<end { word |= UInt64(document[i]) << UInt64((i - at) * 8) }
        return word
    }

    @inline(__always)
    private static func mixed(_ hash: UInt64, _ word: UInt64) -> UInt64 {
        let product = (hash ^ word) &* 0x9e37_79b9_7f4a_7c15
        return product ^ product >> 32
    }

    private static func sameText(_ a: JSONEvent, _ b: JSONEvent, _ document: borrowing Span<UInt8>) -> Bool {
        if !a.isEscaped && !b.isEscaped {
            return document.extracting(a.range).isEqual(to: document.extracting(b.range))
        }
        var first = JSONText(a), second = JSONText(b)
        while true {
            let byte = first.next(document)
            if byte != second.next(document) { return false }
            if byte < 0 { return true }
        }
    }

    // Scalars

    @inline(__always)
    private func peek(_ document: borrowing Span<UInt8>) -> UInt8 {
        // NUL begins nothing in the grammar, so it can stand for the end.
        at < document.count ? document[at] : 0
    }

    @inline(__always)
    private mutating func skipSpace(_ document: borrowing Span<UInt8>) {
        while at < document.count {
            let byte = document[at]
            guard byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 else { return }
            at += 1
        }
    }

    private mutating func word(_ literal: StaticString, _ document: borrowing Span<UInt8>) throws(JSONError) {
        let count = literal.utf8CodeUnitCount
        guard document.count - at >= count, JSONEvent(.null, at, at + count).equals(literal, in: document) else {
            throw .syntax
        }
        at += count
    }

    private mutating func number(_ document: borrowing Span<UInt8>) throws(JSONError) -> JSONEvent {
        let start = at
        if document[at] == UInt8(ascii: "-") { at += 1 }
        let first = at
        try digits(document)
        // RFC 8259 section 6: no leading zeros.
        if document[first] == UInt8(ascii: "0") && at > first + 1 { throw .syntax }
        if peek(document) == UInt8(ascii: ".") {
            at += 1
            try digits(document)
        }
        if peek(document) | 0x20 == UInt8(ascii: "e") {
            at += 1
            let sign = peek(document)
            if sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { at += 1 }
            try digits(document)
        }
        expected = .afterValue
        return JSONEvent(.number, start, at)
    }

    private mutating func digits(_ document: borrowing Span<UInt8>) throws(JSONError) {
        let start = at
        while at < document.count, document[at] &- UInt8(ascii: "0") <= 9 { at += 1 }
        if at == start { throw .syntax }
    }

    private mutating func string(
        _ document: borrowing Span<UInt8>, _ kind: JSONEvent.Kind
    ) throws(JSONError) -> JSONEvent {
        at += 1
        let start = at
        var isEscaped = false
        while true {
            at = document.endOfPlainJSON(from: at)
            guard at < document.count else { throw .syntax }
            let byte = document[at]
            if byte == UInt8(ascii: "\"") {
                at += 1
                expected = .afterValue
                return JSONEvent(kind, start, at - 1, isEscaped: isEscaped)
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
                try escape(document)
            } else if byte < 0x20 {
                throw .syntax
            } else {
                try multibyte(document)
            }
        }
    }

    private mutating func escape(_ document: borrowing Span<UInt8>) throws(JSONError) {
        guard at + 1 < document.count else { throw .syntax }
        switch document[at + 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            at += 2
        case UInt8(ascii: "u"):
            let unit = try unicodeEscape(document)
            guard unit & 0xf800 == 0xd800 else { return }
            // Half a pair has no UTF-8 form; parsers that replace it make two names equal that are not.
            guard unit < 0xdc00, peek(document) == UInt8(ascii: "\\"), at + 1 < document.count,
                document[at + 1] == UInt8(ascii: "u"), try unicodeEscape(document) & 0xfc00 == 0xdc00
            else { throw .encoding }
        default: throw .syntax
        }
    }

    private mutating func unicodeEscape(_ document: borrowing Span<UInt8>) throws(JSONError) -> UInt32 {
        guard at + 6 <= document.count else { throw .syntax }
        for i in at + 2..<at + 6 {
            let digit = document[i]
            guard digit &- UInt8(ascii: "0") <= 9 || (digit | 0x20) &- UInt8(ascii: "a") <= 5 else { throw .syntax }
        }
        at += 6
        return hexadecimalUnit(document, at - 4)
    }

    /// One scalar of two to four bytes, by the table of RFC 3629 section 4: no overlong forms, no surrogates.
    private mutating func multibyte(_ document: borrowing Span<UInt8>) throws(JSONError) {
        let lead = document[at]
        let more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1
        guard lead >= 0xc2, lead <= 0xf4, at + more < document.count else { throw .encoding }
        let low: UInt8 = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80
        let high: UInt8 = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf
        guard document[at + 1] >= low, document[at + 1] <= high else { throw .encoding }
        for i in at + 1..<at + more + 1 where document[i] & 0xc0 != 0x80 { throw .encoding }
        at += more + 1
    }
}
