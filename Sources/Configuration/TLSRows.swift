// Certificates, keys, protocol versions and all else that is said about TLS: the rows.

/// `ssl_verify_client`
enum ClientVerificationMode: Sendable { case off, optional, on }

/// What a server says about TLS; begins as a copy of what the file says outside of servers.
struct TLSDraft {
    /// In pairs.
    var certificates: [Argument] = []
    var keys: [Argument] = []
    var staples: [Argument] = []
    var allowsTLS12 = true
    var allowsTLS13 = true
    var ciphers: Argument?
    var curves: [NamedCurve] = []
    var offersTickets = true
    var keyLog: Argument?
    var clientAuthorities: Argument?
    var clientVerification = ClientVerificationMode.off
    var clientDepth = 1

    static let rows: [Directive<TLSDraft>] = certificateRows + offerRows + clientRows

    private static let certificateRows: [Directive<TLSDraft>] = [
        fileListRow(
            "ssl_certificate", \.certificates,
            "A certificate in PEM: the server's own first, then intermediates; one of each kind (RSA, ECDSA) may be said, "
                + "and clients are shown the one that they can check"),
        fileListRow(
            "ssl_certificate_key", \.keys,
            "The private key of the certificate at the same place in the order, in PEM, without a passphrase"),
        fileListRow(
            "ssl_stapling_file", \.staples,
            "An OCSP response in DER for one of the certificates: clients that ask are told that it is not revoked, until the "
                + "response expires"),
    ]

    private static let offerRows: [Directive<TLSDraft>] = [
        Directive(
            row: DirectiveRow(
                name: "ssl_protocols", blocks: [.main, .server], form: "TLSv1.2 | TLSv1.3 (or both)", arity: 1...6,
                summary: "Protocol versions that are offered"),
            read: { statement, tls, _ throws(Diagnostic) in
                (tls.allowsTLS12, tls.allowsTLS13) = try versions(statement)
            },
            write: { [WrittenLine(($0.allowsTLS12 ? ["TLSv1.2"] : []) + ($0.allowsTLS13 ? ["TLSv1.3"] : []))] }),
        Directive(
            row: DirectiveRow(
                name: "ssl_ciphers", blocks: [.main, .server], form: "CIPHERS (as OpenSSL writes them)", arity: 1...1,
                summary:
                    "Ciphers of TLS 1.2, the best first; only those with forward secrecy and authenticated encryption are "
                    + "accepted, and they are all offered by default"),
            read: { statement, tls, _ throws(Diagnostic) in
                let word = statement.arguments[0]
                if word.text.uppercased().contains("@SECLEVEL") {
                    throw word.error("\"ssl_ciphers\" does not change OpenSSL's level of security")
                }
                tls.ciphers = word.text == "DEFAULT" ? nil : word
            },
            write: { [WrittenLine([$0.ciphers.map { Syntax.quoted($0.text) } ?? "DEFAULT"])] }),
        Directive(
            row: DirectiveRow(
                name: "ssl_ecdh_curve", blocks: [.main, .server],
                form: "auto | CURVE[:CURVE…] (X25519, P-256, P-384, P-521, X448)", arity: 1...1,
                summary: "Curves that keys are agreed on, the best first; auto: X25519, P-256, P-384"),
            read: { statement, tls, _ throws(Diagnostic) in
                let word = statement.arguments[0]
                if word.text == "auto" {
                    tls.curves = []
                    return
                }
                var curves: [NamedCurve] = []
                for name in word.text.split(separator: ":", omittingEmptySubsequences: false) {
                    guard let curve = NamedCurve(String(name)), !curves.contains(curve) else {
                        throw word.error(
                            "\"\(word.shown)\" is not a list of different curves: there are X25519, P-256 (prime256v1), "
                                + "P-384 (secp384r1), P-521 (secp521r1) and X448")
                    }
                    curves.append(curve)
                }
                tls.curves = curves
            },
            write: { tls in
                [WrittenLine([tls.curves.isEmpty ? "auto" : tls.curves.map(\.rawValue).joined(separator: ":")])]
            }),
        .setting(
            "ssl_session_tickets", in: [.main, .server], .flag, \.offersTickets,
            "Whether clients get tickets by which they resume sessions; their keys are made by the gateway, shared by its "
                + "workers, and replaced every `ssl_session_timeout`"),
        fileRow(
            "ssl_key_log", \.keyLog,
            "A file to which the secrets of sessions are written, for debugging alone: who reads it reads the traffic"),
    ]

    private static let clientRows: [Directive<TLSDraft>] = [
        fileRow(
            "ssl_client_certificate", \.clientAuthorities,
            "Certificates in PEM of the authorities that clients' certificates may come from"),
        Directive(
            row: DirectiveRow(
                name: "ssl_verify_client", blocks: [.main, .server], form: "off | optional | on", arity: 1...1,
                summary:
                    "Whether clients are asked for a certificate; one that is not good ends the handshake, and with "
                    + "\"on\" so does none"),
            read: { statement, tls, _ throws(Diagnostic) in
                let word = statement.arguments[0]
                switch word.text {
                case "off": tls.clientVerification = .off
                case "optional": tls.clientVerification = .optional
                case "on": tls.clientVerification = .on
                case "optional_no_ca":
                    throw word.error("\"optional_no_ca\" is not supported: nobody would vouch for such a certificate")
                default: throw word.error("\"\(word.shown)\" is none of off, optional, on")
                }
            },
            write: { tls in
                switch tls.clientVerification {
                case .off: [WrittenLine(["off"])]
                case .optional: [WrittenLine(["optional"])]
                case .on: [WrittenLine(["on"])]
                }
            }),
        // Chains in use have one or two intermediates; each costs a signature check of a stranger's choice.
        .setting(
            "ssl_verify_depth", in: [.main, .server], .count(0...10), \.clientDepth,
            "Intermediate certificates that a client's chain may have"),
    ]

    static func versions(_ statement: Statement) throws(Diagnostic) -> (Bool, Bool) {
        let versions = try statement.arguments.distinct { word throws(Diagnostic) in
            if ["TLSv1.2", "TLSv1.3"].contains(word.text) { return word.text }
            if ["SSLv2", "SSLv3", "TLSv1", "TLSv1.1"].contains(word.text) {
                throw word.error("\"\(word.text)\" is broken and not offered: TLSv1.2 is the oldest (RFC 8996)")
            }
            throw word.error("unknown protocol \"\(word.shown)\": there are TLSv1.2 and TLSv1.3")
        }
        return (versions.contains("TLSv1.2"), versions.contains("TLSv1.3"))
    }
    private static func fileListRow(
        _ name: String, _ field: any WritableKeyPath<TLSDraft, [Argument]> & Sendable, _ summary: String
    ) -> Directive<TLSDraft> {
        Directive(
            row: DirectiveRow(
                name: name, blocks: [.main, .server], form: "PATH", arity: 1...1, repeats: true, summary: summary),
            clear: { $0[keyPath: field] = [] },
            read: { statement, tls, _ throws(Diagnostic) in tls[keyPath: field].append(statement.arguments[0]) },
            write: { $0[keyPath: field].map { WrittenLine([Syntax.quoted($0.text)]) } })
    }
    private static func fileRow(
        _ name: String, _ field: any WritableKeyPath<TLSDraft, Argument?> & Sendable, _ summary: String
    ) -> Directive<TLSDraft> {
        Directive(
            row: DirectiveRow(name: name, blocks: [.main, .server], form: "PATH", arity: 1...1, summary: summary),
            read: { statement, tls, _ throws(Diagnostic) in tls[keyPath: field] = statement.arguments[0] },
            write: { $0[keyPath: field].map { [WrittenLine([Syntax.quoted($0.text)])] } ?? [] })
    }
}
