// What a reader of JSON meets next, as a kind and a range of the document: nothing is copied, nothing is decoded.
// Unsafe: the bytes of a literal, which live for ever.
package import Bytes

/// Why a document was refused.
package enum JSONError: UInt8, Error, Sendable, CaseIterable {
    /// Not the grammar of RFC 8259, trailing bytes and a byte order mark included.
    case syntax
    /// Not UTF-8, or half of a surrogate pair.
    case encoding
    /// More containers inside each other than the reader allows.
    case depth
    /// More members in the whole document than the reader allows.
    case members
    /// Two members of one object with the same name, however they are spelled.
    case duplicate
}

/// One step through a document. For strings and names the range lies inside the quotes.
package struct JSONEvent: BitwiseCopyable, Sendable {
    /// `yes` and `no` are the literals true and false.
    package enum Kind: UInt8, Sendable, BitwiseCopyable {
        case beginObject, endObject, beginArray, endArray, name, string, number, yes, no, null, end

        /// Called as it stands, where the derived one is a call through the conformance from every other module.
        package static func == (a: Kind, b: Kind) -> Bool { a.rawValue == b.rawValue }
    }

    package var kind: Kind
    /// The string has escapes: its bytes are not its text.
    package var isEscaped = false
    package var start: Int32
    package var end: Int32

    init(_ kind: Kind, _ start: Int, _ end: Int, isEscaped: Bool = false) {
        self.kind = kind
        self.start = Int32(truncatingIfNeeded: start)
        self.end = Int32(truncatingIfNeeded: end)
        self.isEscaped = isEscaped
    }

    /// For tables that are filled later.
    package static var nothing: JSONEvent { JSONEvent(.null, 0, 0) }

    package var range: Range<Int> { Int(start)..<Int(end) }

    /// Whether the text of this name or string is exactly `literal`, escapes decoded.
    package func equals(_ literal: StaticString, in document: borrowing Span<UInt8>) -> Bool {
        let count = literal.utf8CodeUnitCount
        if isEscaped {
            var text = JSONText(self)
            for i in 0..<count where unsafe text.next(document) != Int(literal.utf8Start[i]) { return false }
            return text.next(document) < 0
        }
        guard Int(end - start) == count else { return false }
        return document.extracting(range).isEqual(to: unsafe Span(_unsafeStart: literal.utf8Start, count: count))
    }

    /// Whether the text of this name or string is exactly `other`, escapes decoded.
    package func equals(_ other: borrowing Span<UInt8>, in document: borrowing Span<UInt8>) -> Bool {
        if isEscaped {
            var text = JSONText(self)
            for i in 0..<other.count where text.next(document) != Int(other[i]) { return false }
            return text.next(document) < 0
        }
        return document.extracting(range).isEqual(to: other)
    }

    /// The text of this name or string, escapes decoded, at the end of `buffer`.
    package func appendText(of document: borrowing Span<UInt8>, to buffer: inout ByteBuffer) {
        guard isEscaped else { return buffer.append(document.extracting(range)) }
        var text = JSONText(self)
        // An escape is never shorter than what it stands for.
        buffer.reserve(Int(end - start))
        var free = buffer.free
        var count = 0
        var byte = text.next(document)
        while byte >= 0 {
            free[count] = UInt8(truncatingIfNeeded: byte)
            count += 1
            byte = text.next(document)
        }
        buffer.commit(count)
    }

    /// The text as a string of its own; allocates, so for documents of the control thread.
    package func text(of document: borrowing Span<UInt8>) -> String {
        var bytes: [UInt8] = []
        var text = JSONText(self)
        var byte = text.next(document)
        while byte >= 0 {
            bytes.append(UInt8(truncatingIfNeeded: byte))
            byte = text.next(document)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
