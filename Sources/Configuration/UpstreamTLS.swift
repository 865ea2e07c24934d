// TLS to upstreams: what the configuration says of it, and its rows.
internal import Bytes

/// A file in PEM with what it held when the configuration was read.
package struct PEMFile: Sendable, Equatable {
    package var file: String
    package var bytes: [UInt8]
    package var position: SourcePosition
}

/// How an upstream is proven to be the right one, and what is shown to it. Connections under different ones are never mixed.
package struct UpstreamTLS: Sendable, Equatable {
    /// What the certificate must be issued for: a host name, or an address.
    package var name: String
    package var isAddress: Bool
    /// Tells the name, so that a server with many certificates knows which to show (SNI, RFC 6066 section 3).
    package var sendsName = true
    package var isVerified = true
    /// Nil: the system's.
    package var authorities: PEMFile?
    package var certificate: PEMFile?
    package var key: PEMFile?
    package var allowsTLS12 = true
    package var allowsTLS13 = true

    /// What is the same for all upstreams that differ in nothing but their names: each connection says its name itself.
    package var nameless: UpstreamTLS {
        var rest = self
        rest.name = ""
        rest.isAddress = false
        rest.sendsName = true
        return rest
    }
}

/// `proxy_ssl_…` of one level; an inner level begins as a copy of the outer one.
struct UpstreamTLSDraft: Sendable {
    /// Nil: the host of `proxy_pass`.
    var name: String?
    var sendsName = true
    var isVerified = true
    var authorities: PEMFile?
    var certificate: PEMFile?
    var key: PEMFile?
    var allowsTLS12 = true
    var allowsTLS13 = true

    init() {}
    init(_ settings: UpstreamTLS) {
        name = settings.name
        sendsName = settings.sendsName
        isVerified = settings.isVerified
        authorities = settings.authorities
        certificate = settings.certificate
        key = settings.key
        allowsTLS12 = settings.allowsTLS12
        allowsTLS13 = settings.allowsTLS13
    }

    /// For an upstream whose address says `host`.
    func settings(host: String) -> UpstreamTLS {
        let name = name ?? host
        return UpstreamTLS(
            name: name, isAddress: IPAddress(name) != nil, sendsName: sendsName, isVerified: isVerified,
            authorities: authorities, certificate: certificate, key: key, allowsTLS12: allowsTLS12,
            allowsTLS13: allowsTLS13)
    }

    private static let anywhere: [BlockKind] = [.main, .server, .location]

    static let rows: [Directive<UpstreamTLSDraft>] = [
        .setting(
            "proxy_ssl_verify", in: anywhere, .flag, \.isVerified,
            "Whether an upstream must prove by its certificate that it is the one that was asked; off: anybody may be it"
        ),
        fileRow(
            "proxy_ssl_trusted_certificate", \.authorities, "certificate", ["CERTIFICATE", "X509 CERTIFICATE"],
            "Certificates of the authorities that upstreams are believed by, in PEM, instead of the system's"),
        Directive(
            row: DirectiveRow(
                name: "proxy_ssl_name", blocks: anywhere, form: "HOST", arity: 1...1,
                summary:
                    "What the certificate of an upstream must be issued for, and the name that it is told; the host of "
                    + "\"proxy_pass\" unless said"),
            read: { statement, tls, _ throws(Diagnostic) in
                let word = statement.arguments[0]
                if word.text.contains("$") {
                    throw word.error("variables in \"proxy_ssl_name\" are not supported yet")
                }
                // An address of IPv6 stands without brackets here.
                guard IPAddress(word.text) != nil || HostAndPort(word.text, defaultPort: 443)?.hasPort == false else {
                    throw word.error("\"\(word.shown)\" is no host name")
                }
                tls.name = word.text
            },
            write: { $0.name.map { [WrittenLine([Syntax.quoted($0)])] } ?? [] }),
        .setting(
            "proxy_ssl_server_name", in: anywhere, .flag, \.sendsName,
            "Whether an upstream is told the name of whom the gateway wants (SNI); addresses are never told"),
        fileRow(
            "proxy_ssl_certificate", \.certificate, "certificate",
            ["CERTIFICATE", "TRUSTED CERTIFICATE", "X509 CERTIFICATE"],
            "The gateway's own certificate for upstreams that ask for one, in PEM: its own first, then intermediates"),
        fileRow(
            "proxy_ssl_certificate_key", \.key, "private key", ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"],
            "The private key of that certificate in PEM, without a passphrase"),
        Directive(
            row: DirectiveRow(
                name: "proxy_ssl_protocols", blocks: anywhere, form: "TLSv1.2 | TLSv1.3 (or both)", arity: 1...6,
                summary: "Versions of TLS that are offered to upstreams"),
            read: { statement, tls, _ throws(Diagnostic) in
                (tls.allowsTLS12, tls.allowsTLS13) = try TLSDraft.versions(statement)
            },
            write: { [WrittenLine(($0.allowsTLS12 ? ["TLSv1.2"] : []) + ($0.allowsTLS13 ? ["TLSv1.3"] : []))] }),
    ]

    private static func fileRow(
        _ name: String, _ field: any WritableKeyPath<UpstreamTLSDraft, PEMFile?> & Sendable, _ kind: String,
        _ labels: [String], _ summary: String
    ) -> Directive<UpstreamTLSDraft> {
        Directive(
            row: DirectiveRow(name: name, blocks: anywhere, form: "PATH", arity: 1...1, summary: summary),
            read: { statement, tls, reader throws(Diagnostic) in
                let word = statement.arguments[0]
                let file = try reader.path(word)
                // One that is no good was said all the same: what goes with it is not missing anything.
                tls[keyPath: field] = PEMFile(file: file, bytes: [], position: word.position)
                tls[keyPath: field]?.bytes = try reader.pem(word, file, kind, labels: labels)
            },
            write: { $0[keyPath: field].map { [WrittenLine([Syntax.quoted($0.file)])] } ?? [] })
    }
}
