// Response heads of HTTP/1.0 and 1.1, as strict as requests: what an upstream garbles must not split our connections.
import Bytes

extension ResponseHead {
    /// Parses the head at the front of `bytes`, the answer to a request whose method was HEAD or not. Unless the answer is
    /// `complete`, the head is empty afterwards.
    package mutating func parse(_ bytes: Span<UInt8>, isHEAD: Bool, limits: HTTPLimits = .response) -> ParseResult {
        let result = parseLines(bytes, limits, isHEAD)
        if case .complete = result { return result }
        clear()
        return result
    }

    /// The same for bytes that grow from call to call, in linear time, see `RequestHead`.
    package mutating func parse(
        _ bytes: Span<UInt8>, isHEAD: Bool, limits: HTTPLimits = .response, progress: inout HeadProgress
    ) -> ParseResult {
        switch progress.step(bytes, limits) {
        case .wait: return .incomplete
        case .fail(let error): return progress.finish(.failed(error), bytes)
        case .parse: return progress.finish(parse(bytes, isHEAD: isHEAD, limits: limits), bytes)
        }
    }

    private mutating func parseLines(_ s: Span<UInt8>, _ limits: HTTPLimits, _ isHEAD: Bool) -> ParseResult {
        let line = parseStatusLine(s, limits)
        guard case .complete(let start) = line else { return line }
        fieldsStart = start
        let result = fields.parse(s, from: start, limits: limits)
        guard case .complete = result else { return result }
        if let error = settleFraming(isHEAD) { return .failed(error) }
        return result
    }

    /// `HTTP-version SP 3DIGIT [SP reason]` (RFC 9112 section 4); `complete` says where the next line begins. The blank
    /// before an absent reason is required there, and left out by some.
    private mutating func parseStatusLine(_ s: Span<UInt8>, _ limits: HTTPLimits) -> ParseResult {
        let version = s.version(at: 0)
        guard case .complete = version else { return version == .failed(.requestLine) ? .failed(.statusLine) : version }
        if s.count > 8 && s[8] != UInt8(ascii: " ") { return .failed(.statusLine) }
        var code = 0
        for i in 9..<min(max(s.count, 9), 12) {
            let digit = s[i] &- UInt8(ascii: "0")
            if digit > 9 { return .failed(.statusLine) }
            code = code * 10 + Int(digit)
        }
        if s.count <= 12 { return .incomplete }
        // There is no class above 5 (RFC 9110 section 15).
        guard 100...599 ~= code, s[12] == UInt8(ascii: " ") || s[12] == UInt8(ascii: "\r") else {
            return .failed(.statusLine)
        }
        let end = s.endOfValue(from: 12)
        if end > limits.lineSize { return .failed(.headTooLarge) }
        if end == s.count { return .incomplete }
        if s[end] != UInt8(ascii: "\r") { return .failed(s[end] == UInt8(ascii: "\n") ? .lineEnd : .statusLine) }
        if end + 1 == s.count { return .incomplete }
        if s[end + 1] != UInt8(ascii: "\n") { return .failed(.lineEnd) }
        minor = s[7] &- UInt8(ascii: "0")
        status = code
        isWhole = false
        return .complete(end + 2)
    }

    /// RFC 9112 section 6.3. Fields that contradict each other are an error even where they frame nothing: an upstream
    /// that sends them is not to be trusted with the next message either.
    private mutating func settleFraming(_ isHEAD: Bool) -> MessageError? {
        if fields.isChunked && fields.contentLength >= 0 { return .contentLengthAndTransferEncoding }
        if fields.isChunked && minor == 0 { return .transferEncoding }
        contentLength = 0
        wantsClose = fields.closes || minor == 0 && !fields.keepsAlive
        if isHEAD || status < 200 || status == 204 || status == 304 {
            framing = .none
        } else if fields.isChunked {
            framing = .chunked
        } else if fields.contentLength >= 0 {
            framing = .length
            contentLength = fields.contentLength
        } else {
            framing = .untilClose
            wantsClose = true
        }
        return nil
    }
}
