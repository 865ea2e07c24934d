// Request heads of HTTP/1.0 and 1.1, strict (RFC 9112 sections 2 to 6).
import Bytes

extension RequestHead {
    /// Parses the head at the front of `bytes`. One empty line before it is skipped (RFC 9112 section 2.2) and counted as
    /// consumed. Unless the answer is `complete`, the head is empty afterwards.
    package mutating func parse(_ bytes: Span<UInt8>, limits: HTTPLimits) -> ParseResult {
        let result = parseHead(bytes, limits)
        if case .complete = result { return result }
        clear()
        return result
    }

    /// The same for bytes that grow from call to call: `progress` keeps the total cost linear, however they trickle. It
    /// belongs to the connection, and is fresh again after any other answer than `incomplete`.
    package mutating func parse(_ bytes: Span<UInt8>, limits: HTTPLimits, progress: inout HeadProgress) -> ParseResult {
        switch progress.step(bytes, limits) {
        case .wait: return .incomplete
        case .fail(let error): return progress.finish(.failed(error), bytes)
        case .parse: return progress.finish(parse(bytes, limits: limits), bytes)
        }
    }

    private mutating func parseHead(_ bytes: Span<UInt8>, _ limits: HTTPLimits) -> ParseResult {
        guard bytes.count > 0 else { return .incomplete }
        if bytes[0] == UInt8(ascii: "\n") { return .failed(.lineEnd) }
        guard bytes[0] == UInt8(ascii: "\r") else { return parseLines(bytes, limits) }
        guard bytes.count > 1 else { return .incomplete }
        if bytes[1] != UInt8(ascii: "\n") { return .failed(.lineEnd) }
        guard bytes.count > 2 else { return .incomplete }
        if bytes[2] == UInt8(ascii: "\r") || bytes[2] == UInt8(ascii: "\n") { return .failed(.emptyLine) }
        let result = parseLines(bytes.extracting(2..<bytes.count), limits)
        if case .complete(let count) = result { return .complete(count + 2) }
        return result
    }

    private mutating func parseLines(_ s: Span<UInt8>, _ limits: HTTPLimits) -> ParseResult {
        let line = parseRequestLine(s, limits)
        guard case .complete(let start) = line else { return line }
        fieldsStart = start
        let result = fields.parse(s, from: start, limits: limits)
        guard case .complete = result else { return result }
        if let error = settle() { return .failed(error) }
        return result
    }

    /// `complete` says where the next line begins.
    private mutating func parseRequestLine(_ s: Span<UInt8>, _ limits: HTTPLimits) -> ParseResult {
        let methodEnd = s.endOfToken(from: 0)
        if methodEnd > HTTPLimits.methodSize { return .failed(.methodTooLong) }
        if methodEnd == s.count { return .incomplete }
        if s[methodEnd] != UInt8(ascii: " ") || methodEnd == 0 { return .failed(.requestLine) }
        let start = methodEnd + 1
        let end = s.endOfTarget(from: start)
        if end > limits.lineSize { return .failed(.requestLineTooLong) }
        if end == s.count { return .incomplete }
        if s[end] != UInt8(ascii: " ") {
            return .failed(s[end] == UInt8(ascii: "\r") || s[end] == UInt8(ascii: "\n") ? .requestLine : .target)
        }
        if end == start { return .failed(.requestLine) }
        let version = s.version(at: end + 1)
        guard case .complete(let lineEnd) = version else { return version }
        if lineEnd > limits.lineSize { return .failed(.requestLineTooLong) }
        if lineEnd == s.count { return .incomplete }
        if s[lineEnd] == UInt8(ascii: "\n") { return .failed(.lineEnd) }
        if s[lineEnd] != UInt8(ascii: "\r") { return .failed(.requestLine) }
        if lineEnd + 1 == s.count { return .incomplete }
        if s[lineEnd + 1] != UInt8(ascii: "\n") { return .failed(.lineEnd) }
        minor = s[lineEnd - 1] &- UInt8(ascii: "0")
        isFramed = false
        methodRange = 0..<methodEnd
        method = HTTPMethod(s, count: methodEnd)
        targetRange = start..<end
        return .complete(lineEnd + 2)
    }
}

// MARK: what the fields mean together

extension RequestHead {
    private mutating func settle() -> MessageError? {
        if let error = settleFraming() { return error }
        wantsClose = fields.closes || minor == 0 && !fields.keepsAlive
        hasUpgrade = fields.contains(.upgrade)
        expectsContinue = false
        if fields.contains(.expect), let error = settleExpectation() { return error }
        return settleHost()
    }

    /// RFC 9112 section 6.3. Both lengths at once is how requests are smuggled; a coding in HTTP/1.0 is as faulty
    /// (section 6.1).
    private mutating func settleFraming() -> MessageError? {
        framing = .none
        contentLength = max(fields.contentLength, 0)
        if fields.isChunked {
            if fields.contentLength >= 0 { return .contentLengthAndTransferEncoding }
            if minor == 0 { return .transferEncoding }
            framing = .chunked
        } else if fields.contentLength >= 0 {
            framing = .length
        }
        return nil
    }

    /// Only `100-continue` exists (RFC 9110 section 10.1.1). It means nothing in HTTP/1.0 or without a body.
    private mutating func settleExpectation() -> MessageError? {
        guard fields.count(of: .expect) == 1, let value = fields.value(of: .expect), value.count == 12,
            bytes.folds(value.lowerBound, to: "100-continue")
        else { return .expectation }
        expectsContinue = minor == 1 && (framing == .chunked || contentLength > 0)
        return nil
    }

    /// RFC 9112 section 3.2: exactly one Host in HTTP/1.1, and a valid one, even where the target replaces it.
    private mutating func settleHost() -> MessageError? {
        host = 0..<0
        hostName = 0..<0
        if fields.count(of: .host) > 1 { return .host }
        if let value = fields.value(of: .host), !(value.isEmpty && minor == 0) {
            guard let name = bytes.authorityHost(value) else { return .host }
            host = value
            hostName = name
        } else if minor == 1 {
            return .host
        }
        guard parseTarget(&target, of: fields, targetRange, method) else { return .target }
        if !target.authority.isEmpty {
            guard let name = bytes.authorityHost(target.authority) else { return .host }
            host = target.authority
            hostName = name
        }
        return nil
    }
}

/// A free function, so that the target can be written while the fields are read.
private func parseTarget(
    _ target: inout RequestTarget, of fields: borrowing HeaderFields, _ range: Range<Int>, _ method: HTTPMethod
) -> Bool {
    target.parse(fields.bytes, range, method: method)
}

extension Span where Element == UInt8 {
    /// `HTTP/1.0` or `HTTP/1.1` at `i`: `complete` says where it ends. Bytes that cannot become a version fail at once.
    func version(at i: Int) -> ParseResult {
        if count - i >= 8 {
            let word = word(at: i)
            if word == http11 || word == http10 { return .complete(i + 8) }
        }
        for j in 0..<Swift.min(8, count - i) {
            let byte = self[i + j]
            let fits =
                switch j {
                case 5, 7: byte &- UInt8(ascii: "0") < 10
                case 6: byte == UInt8(ascii: ".")
                default: byte == UInt8(truncatingIfNeeded: http11 >> UInt64(8 * j))
                }
            if !fits { return .failed(.requestLine) }
        }
        return count - i < 8 ? .incomplete : .failed(.versionUnsupported)
    }
}

/// "HTTP/1.1" and "HTTP/1.0", lowest address lowest.
private let http11: UInt64 = 0x312e_312f_5054_5448
private let http10: UInt64 = 0x302e_312f_5054_5448
