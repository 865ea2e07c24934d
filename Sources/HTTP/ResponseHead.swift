// The head of an upstream's answer, owning its bytes.
package import Bytes

/// A parsed response head. All ranges are of `bytes`; they hold until it is parsed into again.
package struct ResponseHead: ~Copyable {
    private let inPlace = InPlace()
    package internal(set) var fields = HeaderFields()
    /// 100 to 599.
    package internal(set) var status = 0
    /// Of the HTTP version: 0 or 1.
    package internal(set) var minor: UInt8 = 1
    package internal(set) var framing = BodyFraming.none
    /// Bytes of the body; 0 unless the framing is `length`. (The field of an answer to HEAD is forwarded, but frames nothing.)
    package internal(set) var contentLength: Int64 = 0
    /// The upstream's connection is not to be used again (RFC 9112 section 9.3).
    package internal(set) var wantsClose = false
    /// Nothing follows it, not even the end of a body: in HTTP/2 that can be said, and a call of gRPC may be over so.
    package internal(set) var isWhole = false
    /// Where the field lines begin.
    var fieldsStart = 0

    package init() {}

    /// The arena: status line and fields as they came, up to and with the empty line.
    package var bytes: Span<UInt8> { @_lifetime(borrow self) borrowing get { fields.arena.bytes } }
    /// A 1xx: another head follows.
    package var isInterim: Bool { status < 200 }

    /// The value of the first field of that name, without the blanks around it.
    package borrowing func value(of name: FieldName) -> Range<Int>? { fields.value(of: name) }
    /// How many field lines have that name.
    package borrowing func count(of name: FieldName) -> Int { fields.count(of: name) }
    /// The value of the first field whose name, in lower case and with `-` for `_`, is `name`.
    package borrowing func value(named name: borrowing Span<UInt8>) -> Range<Int>? { fields.value(named: name) }

    /// The same where something depends on it, see `RequestHead`.
    package borrowing func soleValue(named name: borrowing Span<UInt8>) -> Range<Int>? { fields.soleValue(named: name) }
    /// What the upstream changes to; nil unless it says so once, for this connection.
    package borrowing func upgrade() -> Range<Int>? { fields.nominatedUpgrade() }

    /// Forgets the message; a large one's memory is given back. For heads that go back to a pool.
    package mutating func clear() {
        fields.clear()
        status = 0
        framing = .none
        contentLength = 0
        wantsClose = false
        isWhole = false
        fieldsStart = 0
    }
}

extension ResponseHead {
    /// Appends the status line as it came, in our version. The queue must have room for `bytes.count + 16`.
    package borrowing func writeStatusLine(to out: inout ByteQueue) {
        if minor == 1 { return out.append(bytes.extracting(0..<fieldsStart)) }
        out.append("HTTP/1.1")
        out.append(bytes.extracting(8..<fieldsStart))
    }

    /// Appends the field lines that travel on: not those of `filter`, nor those that the upstream's Connection field names,
    /// nor a Content-Length where none may stand (RFC 9110 section 8.6). Transfer-Encoding is never among them. The queue
    /// must have room for `bytes.count`.
    package borrowing func writeFields(dropping filter: borrowing FieldFilter, to out: inout ByteQueue) {
        let forbidsLength = status < 200 || status == 204
        fields.write(dropping: filter, forbidsLength ? FieldSet(.contentLength) : FieldSet(), to: &out)
    }
}
