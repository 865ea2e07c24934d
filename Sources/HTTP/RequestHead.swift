// The head of a request, owning its bytes: what every version of HTTP is turned into, and all later steps read.
package import Bytes

/// A parsed request head. All ranges are of `bytes`; they hold until it is parsed into again. Nothing is allocated per
/// message once the head has met one of that size.
package struct RequestHead: ~Copyable {
    private let inPlace = InPlace()
    package internal(set) var fields = HeaderFields()
    package internal(set) var target = RequestTarget()
    package internal(set) var method = HTTPMethod.other
    package internal(set) var methodRange = 0..<0
    /// The request-target as it came.
    package internal(set) var targetRange = 0..<0
    /// Of the HTTP version: 0 or 1.
    package internal(set) var minor: UInt8 = 1
    /// It came on a stream of HTTP/2. Says a log, and the handshake of a WebSocket is another there.
    package internal(set) var isFramed = false
    /// `none`, `length` or `chunked`.
    package internal(set) var framing = BodyFraming.none
    /// Bytes of the body; 0 unless the framing is `length`.
    package internal(set) var contentLength: Int64 = 0
    /// The connection is not to be used for another request (RFC 9112 section 9.3).
    package internal(set) var wantsClose = false
    /// An Upgrade field is there; whether it asks for anything, `upgrade` says. In HTTP/2 that is an extended CONNECT.
    package internal(set) var hasUpgrade = false
    /// The client waits for `100 Continue` before it sends the body (RFC 9110 section 10.1.1).
    package internal(set) var expectsContinue = false
    /// The effective authority: of the target, if that has one, or else the Host field. Empty only in HTTP/1.0.
    package internal(set) var host = 0..<0
    /// The same without port and without the dot that may end a name.
    package internal(set) var hostName = 0..<0
    /// Where the field lines begin.
    var fieldsStart = 0

    package init() {}

    /// The arena: request line and fields as they came, up to and with the empty line.
    package var bytes: Span<UInt8> { @_lifetime(borrow self) borrowing get { fields.arena.bytes } }
    /// Bytes of the arena.
    package var size: Int { fields.arena.count }
    package var isHEAD: Bool { method == .head }
    package var protocolName: StaticString { isFramed ? "HTTP/2.0" : minor == 0 ? "HTTP/1.0" : "HTTP/1.1" }

    /// gRPC over HTTP sends POST with its own type; `application/grpc-web` is another protocol.
    package var isCall: Bool {
        guard method == .post, let type = value(of: .contentType), type.count >= 16,
            bytes.folds(type.lowerBound, to: "application/grpc")
        else { return false }
        if type.count == 16 { return true }
        let next = bytes[type.lowerBound + 16]
        return next == UInt8(ascii: "+") || next == UInt8(ascii: ";") || next == UInt8(ascii: " ")
    }

    /// The value of the first field of that name, without the blanks around it.
    package borrowing func value(of name: FieldName) -> Range<Int>? { fields.value(of: name) }
    /// How many field lines have that name.
    package borrowing func count(of name: FieldName) -> Int { fields.count(of: name) }
    /// The value of the first field whose name, in lower case and with `-` for `_`, is `name`.
    package borrowing func value(named name: borrowing Span<UInt8>) -> Range<Int>? { fields.value(named: name) }
    /// The same where something depends on it: nil when several fields have that name, or one that may not be passed on.
    package borrowing func soleValue(named name: borrowing Span<UInt8>) -> Range<Int>? { fields.soleValue(named: name) }

    /// What the client asks to change to; nil unless it says so once, for this connection, in HTTP/1.1 (RFC 9110 section 7.8).
    package borrowing func upgrade() -> Range<Int>? { minor == 0 ? nil : fields.nominatedUpgrade() }

    /// Forgets the message; a large one's memory is given back. For heads that go back to a pool.
    package mutating func clear() {
        fields.clear()
        target.reset()
        isFramed = false
        method = .other
        methodRange = 0..<0
        targetRange = 0..<0
        target.clear()
        framing = .none
        contentLength = 0
        wantsClose = false
        expectsContinue = false
        hasUpgrade = false
        host = 0..<0
        hostName = 0..<0
        fieldsStart = 0
    }
}

extension RequestHead {
    /// The argument of the query whose value lies at that range does not travel on.
    package mutating func hideArgument(at value: Range<Int>) {
        let query = target.query
        guard value.lowerBound > query.lowerBound, value.upperBound <= query.upperBound else { return }
        var start = value.lowerBound
        while start > query.lowerBound, fields.arena.bytes[start - 1] != UInt8(ascii: "&") { start -= 1 }
        // One of the two `&` around it goes, too.
        let end = value.upperBound < query.upperBound ? value.upperBound + 1 : value.upperBound
        if end == value.upperBound, start > query.lowerBound { start -= 1 }
        target.hidden = start..<end
    }
    /// The hidden argument may be seen again: its value was masked.
    package mutating func showArgument() { target.hidden = 0..<0 }

    /// Whether there is a query, the hidden argument apart.
    package var showsQuery: Bool { target.hasQuery && (target.hidden.isEmpty || target.hidden != target.query) }
    /// Appends the query as it came, without the hidden argument.
    package borrowing func appendQuery(to out: inout ByteBuffer) {
        if target.hidden.isEmpty { return out.append(bytes.extracting(target.query)) }
        out.append(bytes.extracting(target.query.lowerBound..<target.hidden.lowerBound))
        out.append(bytes.extracting(target.hidden.upperBound..<target.query.upperBound))
    }
    /// Appends the request-target as it came, without the hidden argument.
    package borrowing func appendTarget(to out: inout ByteBuffer) {
        if target.hidden.isEmpty { return out.append(bytes.extracting(targetRange)) }
        // The `?` before a query that is hidden as a whole goes, too.
        let start = showsQuery ? target.hidden.lowerBound : target.query.lowerBound - 1
        out.append(bytes.extracting(targetRange.lowerBound..<start))
        out.append(bytes.extracting(target.hidden.upperBound..<targetRange.upperBound))
    }

    /// Nobody will see the bytes at that range any more.
    package mutating func mask(_ range: Range<Int>) {
        if !range.isEmpty, range.upperBound <= fields.arena.count {
            fields.arena.overwrite(range, with: UInt8(ascii: "*"))
        }
    }

    /// Appends `METHOD SP path[?query] SP HTTP/1.1 CRLF`: the path with its dot segments resolved, the query as it came, an
    /// absolute form turned into an origin form. The queue must have room for `bytes.count + 16`.
    package borrowing func writeRequestLine(to out: inout ByteQueue) {
        if target.form == .origin && target.isPlain && minor == 1 && target.hidden.isEmpty {
            return out.append(bytes.extracting(0..<fieldsStart))
        }
        writeMethod(to: &out)
        out.append(target.path(in: bytes))
        writeQueryAndVersion(to: &out)
    }

    /// The same with `uri` in place of the first `count` bytes of the path; what follows them is kept. The queue must have
    /// room for `bytes.count + uri.count + 16`.
    package borrowing func writeRequestLine(
        replacingPathPrefix count: Int, with uri: borrowing Span<UInt8>, to out: inout ByteQueue
    ) {
        writeMethod(to: &out)
        out.append(uri)
        let path = target.path(in: bytes)
        out.append(path.extracting(min(count, path.count)..<path.count))
        writeQueryAndVersion(to: &out)
    }

    private borrowing func writeMethod(to out: inout ByteQueue) {
        out.append(bytes.extracting(methodRange))
        out.append(" ")
    }
    private borrowing func writeQueryAndVersion(to out: inout ByteQueue) {
        if !target.hidden.isEmpty {
            writeShownQuery(to: &out)
        } else if target.hasQuery {
            out.append("?")
            out.append(bytes.extracting(target.query))
        }
        out.append(" HTTP/1.1\r\n")
    }

    private borrowing func writeShownQuery(to out: inout ByteQueue) {
        let before = target.query.lowerBound..<target.hidden.lowerBound
        let after = target.hidden.upperBound..<target.query.upperBound
        if before.isEmpty && after.isEmpty { return }
        out.append("?")
        out.append(bytes.extracting(before))
        out.append(bytes.extracting(after))
    }

    /// Appends the field lines that travel on: not those of `filter`, nor those that the client's Connection field names.
    /// Transfer-Encoding is never among them: who sends a chunked body says so. The queue must have room for `bytes.count`.
    package borrowing func writeFields(dropping filter: borrowing FieldFilter, to out: inout ByteQueue) {
        fields.write(dropping: filter, FieldSet(), to: &out)
    }
}
