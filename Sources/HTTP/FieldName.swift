// The field names that a gateway acts on, told apart once, while a head is parsed.
import Bytes

/// A field name that means something to the gateway; `other` for every other name.
package enum FieldName: UInt8, CaseIterable, BitwiseCopyable, Sendable {
    case other
    // framing and hop-by-hop (RFC 9110 section 7.6.1)
    case connection, contentLength, transferEncoding, te, trailer, upgrade, keepAlive, proxyConnection, http2Settings
    case proxyAuthenticate, proxyAuthorization
    // routing and expectations
    case host, expect
    /// `Proxy`: becomes HTTP_PROXY in a CGI program's environment (httpoxy).
    case proxy
    // credentials
    case authorization, wwwAuthenticate, cookie, setCookie
    // who a request claims to come from
    case forwarded, xForwardedFor, xForwardedProto, xForwardedHost, xForwardedPort, xForwardedURI, xForwardedServer
    case xForwardedPrefix, xRealIP, xOriginalURL, xRewriteURL
    case xRequestID
    // what answers and logs speak of
    case contentType, cacheControl, date, server, location, vary, origin, referer, userAgent
    case gatewayError

    var bit: UInt64 { 1 &<< UInt64(rawValue) }

    /// Of the `count` tchar bytes from `i`; upper and lower case are the same name.
    @inline(__always)
    init(_ s: borrowing Span<UInt8>, _ i: Int, _ count: Int) {
        self =
            switch count {
            case 2: s.folds(i, to: "te") ? .te : .other
            case 4:
                s.folds(i, to: "host")
                    ? .host : s.folds(i, to: "date") ? .date : s.folds(i, to: "vary") ? .vary : .other
            case 5: s.folds(i, to: "proxy") ? .proxy : .other
            case 6: Self.ofSix(s, i)
            case 7:
                s.folds(i, to: "upgrade")
                    ? .upgrade : s.folds(i, to: "trailer") ? .trailer : s.folds(i, to: "referer") ? .referer : .other
            case 8: s.folds(i, to: "location") ? .location : .other
            case 9: s.folds(i, to: "forwarded") ? .forwarded : s.folds(i, to: "x-real-ip") ? .xRealIP : .other
            case 10: Self.ofTen(s, i)
            case 12:
                s.folds(i, to: "content-type") ? .contentType : s.folds(i, to: "x-request-id") ? .xRequestID : .other
            case 13: Self.ofThirteen(s, i)
            case 14:
                s.folds(i, to: "content-length")
                    ? .contentLength
                    : s.folds(i, to: "http2-settings")
                        ? .http2Settings : s.folds(i, to: "x-original-url") ? .xOriginalURL : .other
            case 15:
                s.folds(i, to: "x-forwarded-for")
                    ? .xForwardedFor : s.folds(i, to: "x-forwarded-uri") ? .xForwardedURI : .other
            case 16: Self.ofSixteen(s, i)
            case 17:
                s.folds(i, to: "transfer-encoding")
                    ? .transferEncoding : s.folds(i, to: "x-forwarded-proto") ? .xForwardedProto : .other
            case 18: Self.ofEighteen(s, i)
            case 19: s.folds(i, to: "proxy-authorization") ? .proxyAuthorization : .other
            default: .other
            }
    }

    @inline(__always)
    private static func ofSix(_ s: borrowing Span<UInt8>, _ i: Int) -> FieldName {
        if s.folds(i, to: "cookie") { return .cookie }
        if s.folds(i, to: "expect") { return .expect }
        if s.folds(i, to: "origin") { return .origin }
        return s.folds(i, to: "server") ? .server : .other
    }
    @inline(__always)
    private static func ofTen(_ s: borrowing Span<UInt8>, _ i: Int) -> FieldName {
        if s.folds(i, to: "connection") { return .connection }
        if s.folds(i, to: "user-agent") { return .userAgent }
        if s.folds(i, to: "set-cookie") { return .setCookie }
        return s.folds(i, to: "keep-alive") ? .keepAlive : .other
    }
    @inline(__always)
    private static func ofThirteen(_ s: borrowing Span<UInt8>, _ i: Int) -> FieldName {
        if s.folds(i, to: "authorization") { return .authorization }
        if s.folds(i, to: "cache-control") { return .cacheControl }
        if s.folds(i, to: "gateway-error") { return .gatewayError }
        return s.folds(i, to: "x-rewrite-url") ? .xRewriteURL : .other
    }
    @inline(__always)
    private static func ofSixteen(_ s: borrowing Span<UInt8>, _ i: Int) -> FieldName {
        if s.folds(i, to: "x-forwarded-host") { return .xForwardedHost }
        if s.folds(i, to: "x-forwarded-port") { return .xForwardedPort }
        if s.folds(i, to: "www-authenticate") { return .wwwAuthenticate }
        return s.folds(i, to: "proxy-connection") ? .proxyConnection : .other
    }
    @inline(__always)
    private static func ofEighteen(_ s: borrowing Span<UInt8>, _ i: Int) -> FieldName {
        if s.folds(i, to: "x-forwarded-server") { return .xForwardedServer }
        if s.folds(i, to: "x-forwarded-prefix") { return .xForwardedPrefix }
        return s.folds(i, to: "proxy-authenticate") ? .proxyAuthenticate : .other
    }
}
