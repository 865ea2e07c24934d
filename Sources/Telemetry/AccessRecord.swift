// One finished exchange as the access log tells it: one line, whatever happened.
package import Bytes

/// How a token's verdict was come by.
package enum CacheUse: UInt8, Sendable {
    case none, hit, miss

    package var name: StaticString {
        switch self {
        case .none: "-"
        case .hit: "hit"
        case .miss: "miss"
        }
    }
}

/// The numbers and fixed words of a record. Durations are nanoseconds; -1 stands for what did not happen.
package struct AccessRecord: Sendable {
    package var wallSeconds: Int64 = 0
    package var wallMilliseconds: Int = 0
    package var remotePort: UInt16 = 0
    /// The status sent to the client; 0: none.
    package var status = 0
    package var requestBytes: UInt64 = 0
    package var sentBytes: UInt64 = 0
    package var sentBodyBytes: UInt64 = 0
    package var requestTime: Int64 = 0
    package var upstreamConnectTime: Int64 = -1
    package var upstreamHeaderTime: Int64 = -1
    package var upstreamResponseTime: Int64 = -1
    /// Status of the upstream's answer; 0: none.
    package var upstreamStatus = 0
    package var upstreamTries = 0
    /// The connection's number, and of the request on it.
    package var connection: UInt64 = 0
    package var connectionRequests: UInt64 = 0
    package var isTLS = false
    /// `HTTP/1.1`
    package var protocolName: StaticString = "-"
    /// `TLSv1.3`; `-` in clear text.
    package var tlsProtocol: StaticString = "-"
    /// `ok`, `refused`, `off` …
    package var authResult: StaticString = "-"
    /// Machine code of a refusal, whoever refused; `-`: none.
    package var reason: StaticString = "-"
    package var authCache = CacheUse.none
    /// Who made the answer: `gateway` or `upstream`.
    package var source: StaticString = "-"

    package init() {}
}

/// The texts of a record, borrowed from where they lie. Empty ones are written as `-`.
package struct AccessTexts: ~Escapable {
    package let remoteAddress, method, target, host, userAgent, referer: Span<UInt8>
    package let requestID, route, upstream, provider, subject: Span<UInt8>

    @_lifetime(
        copy remoteAddress, copy method, copy target, copy host, copy userAgent, copy referer, copy requestID,
        copy route, copy upstream, copy provider, copy subject)
    package init(
        remoteAddress: Span<UInt8>, method: Span<UInt8>, target: Span<UInt8>, host: Span<UInt8>,
        userAgent: Span<UInt8> = Span(), referer: Span<UInt8> = Span(), requestID: Span<UInt8>, route: Span<UInt8>,
        upstream: Span<UInt8> = Span(), provider: Span<UInt8> = Span(), subject: Span<UInt8> = Span()
    ) {
        self.remoteAddress = remoteAddress
        self.method = method
        self.target = target
        self.host = host
        self.userAgent = userAgent
        self.referer = referer
        self.requestID = requestID
        self.route = route
        self.upstream = upstream
        self.provider = provider
        self.subject = subject
    }
}

extension AccessRecord {
    /// Appends the record as one line of JSON with every field, its line feed included. Credentials are masked.
    package func appendJSON(_ texts: borrowing AccessTexts, to out: inout ByteBuffer) {
        out.append("{\"time\":\"")
        appendTime(to: &out)
        out.append("\"")
        Self.text("remote_addr", texts.remoteAddress, &out)
        Self.number("remote_port", Int64(remotePort), &out)
        Self.text("method", texts.method, &out)
        Self.target("path", texts.target, &out)
        Self.word("protocol", protocolName, &out)
        Self.text("host", texts.host, &out)
        Self.number("status", Int64(status), &out)
        appendSizes(to: &out)
        appendTimes(to: &out)
        Self.text("upstream", texts.upstream, &out)
        Self.number("upstream_status", Int64(upstreamStatus), &out)
        Self.number("upstream_tries", Int64(upstreamTries), &out)
        Self.text("route", texts.route, &out)
        Self.text("request_id", texts.requestID, &out)
        Self.text("auth_subject", texts.subject, &out)
        Self.text("auth_provider", texts.provider, &out)
        Self.word("auth_result", authResult, &out)
        Self.word("auth_reason", reason, &out)
        Self.word("auth_cache", authCache.name, &out)
        Self.word("src", source, &out)
        Self.word("tls", tlsProtocol, &out)
        Self.number("connection", Int64(clamping: connection), &out)
        Self.number("connection_requests", Int64(clamping: connectionRequests), &out)
        Self.target("referer", texts.referer, &out)
        Self.text("user_agent", texts.userAgent, &out)
        out.append("}\n")
    }

    /// `2026-11-21T09:30:00.123Z`
    private func appendTime(to out: inout ByteBuffer) {
        CivilTime(wallSeconds: wallSeconds).appendRFC3339(milliseconds: wallMilliseconds, to: &out)
    }
    private func appendSizes(to out: inout ByteBuffer) {
        Self.number("request_length", Int64(clamping: requestBytes), &out)
        Self.number("bytes_sent", Int64(clamping: sentBytes), &out)
        Self.number("body_bytes_sent", Int64(clamping: sentBodyBytes), &out)
    }
    private func appendTimes(to out: inout ByteBuffer) {
        Self.seconds("request_time", requestTime, &out)
        Self.seconds("upstream_connect_time", upstreamConnectTime, &out)
        Self.seconds("upstream_header_time", upstreamHeaderTime, &out)
        Self.seconds("upstream_response_time", upstreamResponseTime, &out)
    }

    // MARK: members

    private static func name(_ name: StaticString, _ out: inout ByteBuffer) {
        out.append(",\"")
        out.append(name)
        out.append("\":")
    }
    private static func text(_ name: StaticString, _ value: Span<UInt8>, _ out: inout ByteBuffer) {
        self.name(name, &out)
        out.append("\"")
        if value.isEmpty { out.append("-") } else { Redaction.append(value, .json, to: &out) }
        out.append("\"")
    }
    private static func target(_ name: StaticString, _ value: Span<UInt8>, _ out: inout ByteBuffer) {
        self.name(name, &out)
        out.append("\"")
        if value.isEmpty { out.append("-") } else { Redaction.appendTarget(value, .json, to: &out) }
        out.append("\"")
    }
    /// A word from the code, free of anything to escape.
    private static func word(_ name: StaticString, _ value: StaticString, _ out: inout ByteBuffer) {
        self.name(name, &out)
        out.append("\"")
        out.append(value)
        out.append("\"")
    }
    private static func number(_ name: StaticString, _ value: Int64, _ out: inout ByteBuffer) {
        self.name(name, &out)
        out.append(decimal: UInt64(max(value, 0)))
    }
    private static func seconds(_ name: StaticString, _ nanoseconds: Int64, _ out: inout ByteBuffer) {
        self.name(name, &out)
        if nanoseconds < 0 { out.append("null") } else { LogNumber.appendSeconds(UInt64(nanoseconds), to: &out) }
    }
}

/// Numbers as access logs write them.
package enum LogNumber {
    /// Seconds with three decimals, as nginx's `$request_time`.
    package static func appendSeconds(_ nanoseconds: UInt64, to out: inout ByteBuffer) {
        let milliseconds = nanoseconds / 1_000_000
        out.append(decimal: milliseconds / 1000)
        out.append(".")
        out.append(decimal: milliseconds % 1000, width: 3)
    }
}
