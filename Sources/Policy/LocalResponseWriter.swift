// Writes the answers that the gateway itself gives: refusals (RFC 9457, RFC 6750) and what `return` says.
package import Bytes
package import Configuration

/// What an answer has to fit, beside its own content.
package struct ResponseForm {
    /// The head alone is sent, with the length that the body would have (RFC 9110 section 9.3.2).
    package var isHEAD = false
    /// Minor version of the request: HTTP/1.0 keeps a connection only where the answer says so.
    package var minor: UInt8 = 1
    /// The connection ends after this answer.
    package var closes = false
    package var detail = ErrorDetail.code
    package var requestID = RequestID.none
    package var wallSeconds: Int64

    package init(wallSeconds: Int64) { self.wallSeconds = wallSeconds }
}

/// One per worker: keeps its buffers, so that a flood of refusals allocates nothing. `bytes` is the last answer whole.
package struct LocalResponseWriter: ~Copyable {
    /// CONNECT and TRACE are the methods that are never allowed: we open no tunnels, and TRACE would echo identity fields.
    private static var allow: StaticString { "Allow: GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS\r\n" }

    private var head = ByteBuffer(capacity: 1024)
    private var body = ByteBuffer(capacity: 512)
    private var date = ByteBuffer(capacity: 64)
    private var dateSeconds: Int64 = -1

    package init() {}

    /// The answer that was made last, ready for the wire.
    package var bytes: Span<UInt8> { @_lifetime(borrow self) get { head.bytes } }

    /// Appends the last answer to what waits for a client.
    package borrowing func write(to out: inout ByteQueue, _ pool: inout BufferPool) {
        out.reserve(head.count, &pool)
        out.append(head.bytes)
    }

    /// Makes a refusal; returns how many bytes of body it sends.
    /// - Parameters:
    ///   - realm: of the challenge (RFC 9110 section 11.5).
    ///   - scope: what is missing, for `insufficient_scope`.
    ///   - added: whole field lines that the configuration adds.
    package mutating func refuse(
        _ response: LocalResponse, _ form: ResponseForm, realm: Span<UInt8>, scope: Span<UInt8> = Span(),
        added: Span<UInt8> = Span()
    ) -> Int {
        let answer = response.answer
        makeProblem(answer, form)
        begin(answer.status, form)
        head.append("Content-Type: application/problem+json\r\nCache-Control: no-store\r\n")
        if form.detail != .none {
            head.append("Gateway-Error: ")
            head.append(answer.code)
            head.append("\r\n")
        }
        appendChallenge(answer, form.detail, realm: realm, scope: scope)
        if answer.status == 405 { head.append(Self.allow) }
        if answer.retryAfterSeconds > 0 {
            head.append("Retry-After: ")
            head.append(decimal: UInt64(answer.retryAfterSeconds))
            head.append("\r\n")
        }
        head.append(added)
        return end(form, closes: form.closes || answer.closesConnection, hasBody: true)
    }

    /// Makes the answer of a `return`; returns how many bytes of body it sends. A redirect's text is its Location. Nil: the
    /// text cannot stand in a field (a line break would split the response), and nothing was made.
    package mutating func answer(
        status: Int, text: Span<UInt8>, _ form: ResponseForm, added: Span<UInt8> = Span()
    ) -> Int? {
        body.clear()
        let isRedirect = Self.isRedirect(status)
        if isRedirect {
            guard !text.isEmpty, text.endOfValue(from: 0) == text.count else { return nil }
            body.append(StatusPhrase.of(status))
            body.append("\n")
        } else if text.isEmpty && status >= 400 {
            makeProblem(LocalResponse.Answer(status, "", ""), form)
        } else {
            body.append(text)
        }
        begin(status, form)
        if isRedirect {
            head.append("Location: ")
            head.append(text)
            head.append("\r\n")
        }
        let hasBody = status != 204 && status != 304
        if !text.isEmpty && hasBody {
            head.append("Content-Type: text/plain\r\n")
        } else if status >= 400 {
            head.append("Content-Type: application/problem+json\r\nCache-Control: no-store\r\n")
        }
        head.append(added)
        return end(form, closes: form.closes, hasBody: hasBody)
    }

    private static func isRedirect(_ status: Int) -> Bool {
        switch status {
        case 301, 302, 303, 307, 308: true
        default: false
        }
    }
}

// The pieces of an answer.
extension LocalResponseWriter {
    private mutating func begin(_ status: Int, _ form: ResponseForm) {
        head.clear()
        head.append("HTTP/1.1 ")
        head.append(decimal: UInt64(status), width: 3)
        head.append(" ")
        head.append(StatusPhrase.of(status))
        head.append("\r\nDate: ")
        if dateSeconds != form.wallSeconds {
            date.clear()
            CivilTime(wallSeconds: form.wallSeconds).appendHTTPDate(to: &date)
            dateSeconds = form.wallSeconds
        }
        Self.copy(date, to: &head)
        head.append("\r\n")
    }

    /// Framing and persistence, the empty line and the body.
    private mutating func end(_ form: ResponseForm, closes: Bool, hasBody: Bool) -> Int {
        if hasBody {
            head.append("Content-Length: ")
            head.append(decimal: UInt64(body.count))
            head.append("\r\n")
        }
        if closes {
            head.append("Connection: close\r\n")
        } else if form.minor == 0 {
            head.append("Connection: keep-alive\r\n")
        }
        head.append("\r\n")
        guard hasBody && !form.isHEAD else { return 0 }
        Self.copy(body, to: &head)
        return body.count
    }

    /// Two stored buffers at once: a span of one is a borrow of the whole value, a parameter is not.
    private static func copy(_ from: borrowing ByteBuffer, to out: inout ByteBuffer) { out.append(from.bytes) }

    /// A problem document (RFC 9457 section 3). Its texts are fixed and free of what JSON would escape.
    private mutating func makeProblem(_ answer: LocalResponse.Answer, _ form: ResponseForm) {
        body.clear()
        body.append("{\"type\":\"about:blank\",\"title\":\"")
        body.append(StatusPhrase.of(answer.status))
        body.append("\",\"status\":")
        body.append(decimal: UInt64(answer.status))
        if form.detail != .none && answer.code.utf8CodeUnitCount > 0 {
            body.append(",\"code\":\"")
            body.append(answer.code)
            body.append("\"")
        }
        if form.detail == .full && answer.detail.utf8CodeUnitCount > 0 {
            body.append(",\"detail\":\"")
            body.append(answer.detail)
            body.append("\"")
        }
        if form.requestID != .none {
            body.append(",\"request_id\":\"")
            form.requestID.append(to: &body)
            body.append("\"")
        }
        body.append("}\n")
    }

    /// `WWW-Authenticate` (RFC 6750 section 3): without credentials the realm alone, else the error and why.
    private mutating func appendChallenge(
        _ answer: LocalResponse.Answer, _ detail: ErrorDetail, realm: Span<UInt8>, scope: Span<UInt8>
    ) {
        guard answer.challenge != .none else { return }
        head.append("WWW-Authenticate: Bearer realm=\"")
        appendQuotable(realm)
        head.append("\"")
        switch answer.challenge {
        case .none, .bare: break
        case .invalidToken: head.append(", error=\"invalid_token\"")
        case .invalidRequest: head.append(", error=\"invalid_request\"")
        case .insufficientScope: head.append(", error=\"insufficient_scope\"")
        }
        if answer.challenge != .bare && detail != .none {
            head.append(", error_description=\"")
            head.append(answer.detail)
            head.append("\"")
        }
        if answer.challenge == .insufficientScope && !scope.isEmpty {
            head.append(", scope=\"")
            appendQuotable(scope)
            head.append("\"")
        }
        head.append("\r\n")
    }
    /// Only what RFC 6750 section 3 allows in a scope, which is what needs no escape in a quoted string.
    private mutating func appendQuotable(_ text: Span<UInt8>) {
        for i in 0..<text.count {
            switch text[i] {
            case 0x20, 0x21, 0x23...0x5b, 0x5d...0x7e: head.append(byte: text[i])
            default: head.append("_")
            }
        }
    }
}
