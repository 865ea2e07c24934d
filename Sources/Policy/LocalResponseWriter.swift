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
    package var format = AnswerFormat.problem
    /// The text of an answer is a key set rather than words.
    package var isKeySet = false
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
    /// Where in the head the field lines are, and the body.
    private var fieldRange = 0..<0
    private var bodyStart = 0
    /// Of the answer that was made last, as it is sent.
    package private(set) var status = 0

    package init() {}

    /// The answer that was made last, ready for the wire.
    package var bytes: Span<UInt8> { @_lifetime(borrow self) get { head.bytes } }

    /// Its field lines, but for what they say of the connection; and its body as far as it is sent.
    package var fields: Span<UInt8> { @_lifetime(borrow self) get { head.bytes.extracting(fieldRange) } }
    package var sentBody: Span<UInt8> {
        @_lifetime(borrow self) get { head.bytes.extracting(bodyStart..<head.count) }
    }

    /// Appends the last answer to what waits for a client.
    package borrowing func write(to out: inout ByteQueue, _ pool: inout BufferPool) {
        out.reserve(head.count, &pool)
        out.append(head.bytes)
    }

    /// Makes a refusal; returns how many bytes of body it sends.
    /// - Parameters:
    ///   - challenges: those of the location are made where the answer has some (RFC 9110 section 11.6.1).
    ///   - scope: what is missing, for `insufficient_scope`.
    ///   - added: whole field lines that the configuration adds.
    package mutating func refuse(
        _ response: LocalResponse, _ form: ResponseForm, _ challenges: borrowing Challenges, location: Int,
        scope: Span<UInt8> = Span(), added: Span<UInt8> = Span()
    ) -> Int {
        let answer = response.answer
        body.clear()
        AnswerBody.append(answer, form, to: &body)
        begin(form.format.sentStatus(answer.status), form)
        appendContentFields(answer, form)
        if form.detail != .none {
            head.append("Gateway-Error: ")
            head.append(answer.code)
            head.append("\r\n")
        }
        challenges.append(answer, form.detail, location: location, scope: scope, to: &head)
        if answer.status == 405 { head.append(Self.allow) }
        if answer.status == 426 { head.append("Sec-WebSocket-Version: 13\r\n") }
        if answer.retryAfterSeconds > 0 {
            head.append("Retry-After: ")
            head.append(decimal: UInt64(answer.retryAfterSeconds))
            head.append("\r\n")
        }
        head.append(added)
        return end(form, closes: form.closes || answer.closesConnection, hasBody: true)
    }

    /// Makes an answer without a body; `added` is whole field lines.
    package mutating func answer(status: Int, _ form: ResponseForm, added: Span<UInt8>) {
        body.clear()
        begin(status, form)
        head.append(added)
        _ = end(form, closes: form.closes, hasBody: false)
    }

    /// Makes the answer of a `return`; returns how many bytes of body it sends. A redirect's text is its Location. Nil: the
    /// text cannot stand in a field (a line break would split the response), and nothing was made.
    package mutating func answer(
        status: Int, text: Span<UInt8>, _ form: ResponseForm, added: Span<UInt8> = Span()
    ) -> Int? {
        body.clear()
        let isRedirect = Self.isRedirect(status)
        let isProblem = text.isEmpty && status >= 400
        let problem = LocalResponse.Answer(status, "", "")
        if isRedirect {
            guard !text.isEmpty, text.endOfValue(from: 0) == text.count else { return nil }
            body.append(StatusPhrase.of(status))
            body.append("\n")
        } else if isProblem {
            AnswerBody.append(problem, form, to: &body)
        } else {
            body.append(text)
        }
        begin(isProblem ? form.format.sentStatus(status) : status, form)
        if isRedirect {
            head.append("Location: ")
            head.append(text)
            head.append("\r\n")
        }
        let hasBody = status != 204 && status != 304
        if !text.isEmpty && hasBody {
            head.append(form.isKeySet ? Self.keySetFields : "Content-Type: text/plain\r\n")
        } else if isProblem {
            appendContentFields(problem, form)
        }
        head.append(added)
        return end(form, closes: form.closes, hasBody: hasBody)
    }

    /// Whoever checks tokens asks again within minutes, and at once when a key is unknown to it.
    private static var keySetFields: StaticString {
        "Content-Type: application/jwk-set+json\r\nCache-Control: public, max-age=300\r\n"
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
        self.status = status
        head.append("HTTP/1.1 ")
        head.append(decimal: UInt64(status), width: 3)
        head.append(" ")
        head.append(StatusPhrase.of(status))
        head.append("\r\n")
        fieldRange = head.count..<head.count
        head.append("Date: ")
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
        fieldRange = fieldRange.lowerBound..<head.count
        // RFC 9110 section 15.5.22; said of the connection, like what follows.
        if status == 426 { head.append("Upgrade: websocket\r\nConnection: Upgrade\r\n") }
        if closes {
            head.append("Connection: close\r\n")
        } else if form.minor == 0 {
            head.append("Connection: keep-alive\r\n")
        }
        head.append("\r\n")
        bodyStart = head.count
        guard hasBody && !form.isHEAD else { return 0 }
        Self.copy(body, to: &head)
        return body.count
    }

    /// Two stored buffers at once: a span of one is a borrow of the whole value, a parameter is not.
    private static func copy(_ from: borrowing ByteBuffer, to out: inout ByteBuffer) { out.append(from.bytes) }

    /// What the body is, or in its place what became of a call of gRPC. Answers in several forms vary with Accept.
    private mutating func appendContentFields(_ answer: LocalResponse.Answer, _ form: ResponseForm) {
        switch form.format {
        case .problem: head.append("Content-Type: application/problem+json\r\nVary: Accept\r\n")
        case .text: head.append("Content-Type: text/plain; charset=utf-8\r\nVary: Accept\r\n")
        case .page:
            head.append("Content-Type: text/html; charset=utf-8\r\nVary: Accept\r\nContent-Security-Policy: ")
            head.append(AnswerBody.pagePolicy)
            head.append("\r\nX-Content-Type-Options: nosniff\r\n")
        case .grpc: appendCallStatus(answer, form.detail)
        }
        head.append("Cache-Control: no-store\r\n")
    }
    /// The trailers, where there is no body: our words hold nothing that a message would have to percent-encode.
    private mutating func appendCallStatus(_ answer: LocalResponse.Answer, _ detail: ErrorDetail) {
        head.append("Content-Type: application/grpc\r\ngrpc-status: ")
        head.append(decimal: UInt64(CallStatus.of(answer.status)))
        head.append("\r\ngrpc-message: ")
        switch detail {
        case .code where answer.code.utf8CodeUnitCount > 0: head.append(answer.code)
        case .full where answer.detail.utf8CodeUnitCount > 0: head.append(answer.detail)
        default: head.append(StatusPhrase.of(answer.status))
        }
        head.append("\r\n")
    }
}
