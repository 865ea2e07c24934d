// Which fields may stand behind a body and travel on: none by which anybody frames, routes, authenticates, identifies or
// changes a message. They came after everything was decided (RFC 9110 section 6.5.1).
import Bytes

package enum TrailerFilter {
    /// Appends those of the field lines in `section` that may travel on, each ended by CR LF. `filter` is that of the head: what
    /// may not stand there may not come in by the back door.
    package static func append(
        _ section: borrowing Span<UInt8>, dropping filter: borrowing FieldFilter, to out: inout [UInt8]
    ) {
        var i = 0
        while i < section.count {
            let end = endOfLine(section, from: i)
            if let colon = colon(section, i..<end), !isDropped(section, i..<colon, filter) {
                out.reserveCapacity(out.count + end - i + 2)
                for j in i..<end { out.append(section[j]) }
                out.append(UInt8(ascii: "\r"))
                out.append(UInt8(ascii: "\n"))
            }
            i = end + 2
        }
    }

    private static func endOfLine(_ s: borrowing Span<UInt8>, from start: Int) -> Int {
        var i = start
        while i < s.count, s[i] != UInt8(ascii: "\r") || i + 1 < s.count && s[i + 1] != UInt8(ascii: "\n") { i += 1 }
        return i
    }
    /// Behind the name of a line that is one. Whoever checked it before: nothing is sent on that could end a line.
    private static func colon(_ s: borrowing Span<UInt8>, _ line: Range<Int>) -> Int? {
        let i = s.endOfToken(from: line.lowerBound)
        guard i > line.lowerBound, i < line.upperBound, s[i] == UInt8(ascii: ":") else { return nil }
        return s.endOfValue(from: i + 1) == line.upperBound ? i : nil
    }

    private static func isDropped(
        _ s: borrowing Span<UInt8>, _ name: Range<Int>, _ filter: borrowing FieldFilter
    ) -> Bool {
        let id = FieldName(s, name.lowerBound, name.count)
        if filter.names.contains(id) || known.contains(id) || filter.matchesCustom(s, name) { return true }
        if filter.dropsUnderscores {
            for i in name where s[i] == UInt8(ascii: "_") { return true }
        }
        var folded: [UInt8] = []
        folded.reserveCapacity(name.count)
        for i in name { folded.append(foldName(s[i])) }
        return others.contains { $0 == folded } || families.contains { folded.starts(with: $0) }
    }

    private static let known = FieldSet([
        .connection, .contentLength, .transferEncoding, .te, .trailer, .upgrade, .keepAlive, .proxyConnection,
        .http2Settings, .host, .expect, .proxy, .authorization, .proxyAuthorization, .wwwAuthenticate,
        .proxyAuthenticate,
        .cookie, .setCookie, .forwarded, .xForwardedFor, .xForwardedProto, .xForwardedHost, .xForwardedPort,
        .xForwardedURI,
        .xForwardedServer, .xForwardedPrefix, .xRealIP, .xOriginalURL, .xRewriteURL, .xRequestID, .contentType,
        .cacheControl, .date, .location, .vary, .origin, .gatewayError,
    ])
    private static let others: [[UInt8]] = [
        // how to read the content
        "content-encoding", "content-range", "content-location", "content-disposition",
        // what changes the meaning of a request
        "accept", "accept-charset", "accept-encoding", "accept-language", "if-match", "if-none-match",
        "if-modified-since", "if-unmodified-since", "if-range", "max-forwards", "pragma", "range", "x-http-method",
        "x-http-method-override", "x-method-override",
        // what changes the meaning of an answer
        "age", "alt-svc", "expires", "retry-after", "warning",
        // who asks, and from where
        "authentication-info", "proxy-authentication-info", "x-api-key", "via", "x-original-uri", "x-original-host",
        "x-client-ip", "true-client-ip", "x-cluster-client-ip", "traceparent", "tracestate",
    ].map { Array($0.utf8) }
    private static let families: [[UInt8]] = [
        "x-auth-", "x-gateway-", "x-forwarded-", "access-control-",
    ].map { Array($0.utf8) }
}

extension RequestHead {
    /// The client takes fields behind the body of an answer, and so may send such (RFC 9110 section 10.1.4). Calls of gRPC
    /// always do.
    package borrowing func takesTrailers() -> Bool {
        if fields.contains(.te) {
            for k in 0..<fields.count where fields.id(at: k) == .te {
                if namesTrailers(fields.value(at: k)) { return true }
            }
        }
        return isCall
    }
    /// A list of codings, with `trailers` among them.
    private borrowing func namesTrailers(_ value: Range<Int>) -> Bool {
        let text = bytes
        var i = value.lowerBound
        while i < value.upperBound {
            while i < value.upperBound, isBlank(text[i]) || text[i] == UInt8(ascii: ",") { i += 1 }
            let start = i
            while i < value.upperBound, isTokenCharacter(text[i]) { i += 1 }
            let isWord = i - start == 8 && text.folds(start, to: "trailers")
            while i < value.upperBound, isBlank(text[i]) { i += 1 }
            if isWord, i == value.upperBound || text[i] == UInt8(ascii: ",") { return true }
            while i < value.upperBound, text[i] != UInt8(ascii: ",") { i += 1 }
        }
        return false
    }
}
