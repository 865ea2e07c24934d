// Sets of known field names, as bits: a plain struct, because OptionSet literals allocate across modules.

/// A set of known field names; `other` is never a member.
package struct FieldSet: Sendable, Equatable, BitwiseCopyable {
    var bits: UInt64

    package init() { bits = 0 }
    /// Of one name; builds nothing, so it may stand on the request path.
    init(_ name: FieldName) { bits = name.bit & ~FieldName.other.bit }
    package init(_ names: [FieldName]) {
        bits = names.reduce(0) { $0 | $1.bit } & ~FieldName.other.bit
    }
    package func contains(_ name: FieldName) -> Bool { bits & name.bit != 0 }
    package func union(_ other: FieldSet) -> FieldSet {
        var result = self
        result.bits |= other.bits
        return result
    }

    /// Never sent on as they came: they speak of one connection only (RFC 9110 section 7.6.1), ask for a protocol that
    /// is not offered (`Upgrade: h2c` smuggling), or are answered here (`Expect`).
    package static var hopByHop: FieldSet {
        FieldSet([
            .connection, .keepAlive, .proxyConnection, .te, .trailer, .transferEncoding, .upgrade, .http2Settings,
            .proxyAuthenticate, .proxyAuthorization, .expect, .proxy,
        ])
    }
    /// What a client may claim about where its request comes from: believed of trusted peers only.
    package static var forwarding: FieldSet {
        FieldSet([
            .forwarded, .xForwardedFor, .xForwardedProto, .xForwardedHost, .xForwardedPort, .xForwardedURI,
            .xForwardedServer, .xForwardedPrefix, .xRealIP, .xOriginalURL, .xRewriteURL,
        ])
    }
    /// Cannot be removed by naming them in Connection (RFC 9110 section 7.6.1): who could, would change where a
    /// message ends or where it goes.
    static var fixed: FieldSet {
        FieldSet(.host).union(FieldSet(.contentLength)).union(FieldSet(.transferEncoding))
    }
    /// Their values are read while a head is parsed: they say where the message ends, and whether another may follow.
    static var read: FieldSet {
        FieldSet(.connection).union(FieldSet(.contentLength)).union(FieldSet(.transferEncoding))
    }
}
