// Certificates, keys and protocol versions: their rows, and the reading of the files.

/// `ssl_verify_client`
enum ClientVerificationMode: Sendable { case off, optional, on }

/// What a server says about TLS; begins as a copy of what the file says outside of servers.
struct TLSDraft {
    var certificate: Argument?
    var key: Argument?
    var allowsTLS12 = true
    var allowsTLS13 = true
    var clientAuthorities: Argument?
    var clientVerification = ClientVerificationMode.off
    var clientDepth = 1

    static let rows: [Directive<TLSDraft>] = [
        fileRow("ssl_certificate", \.certificate, "The certificate in PEM: the server's own first, then intermediates"),
        fileRow("ssl_certificate_key", \.key, "The private key of the certificate in PEM, without a passphrase"),
        Directive(
            row: DirectiveRow(
                name: "ssl_protocols", blocks: [.main, .server], form: "TLSv1.2 | TLSv1.3 (or both)", arity: 1...6,
                summary: "Protocol versions that are offered"),
            read: { statement, tls, _ throws(Diagnostic) in
                (tls.allowsTLS12, tls.allowsTLS13) = try versions(statement)
            },
            write: { [WrittenLine(($0.allowsTLS12 ? ["TLSv1.2"] : []) + ($0.allowsTLS13 ? ["TLSv1.3"] : []))] }),
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

    private static func fileRow(
        _ name: String, _ field: any WritableKeyPath<TLSDraft, Argument?> & Sendable, _ summary: String
    ) -> Directive<TLSDraft> {
        Directive(
            row: DirectiveRow(name: name, blocks: [.main, .server], form: "PATH", arity: 1...1, summary: summary),
            read: { statement, tls, _ throws(Diagnostic) in tls[keyPath: field] = statement.arguments[0] },
            write: { $0[keyPath: field].map { [WrittenLine([Syntax.quoted($0.text)])] } ?? [] })
    }
}

extension ConfigurationReader {
    /// More than any chain of certificates.
    private static let maximumPEMBytes = 1 << 20

    /// Reads the files of a server that listens with TLS.
    func settings(_ tls: TLSDraft, for server: SourcePosition) throws(Diagnostic) -> TLSSettings {
        guard let certificate = tls.certificate, let key = tls.key else {
            let missing = tls.certificate == nil ? "ssl_certificate" : "ssl_certificate_key"
            throw Diagnostic(at: server, "this server listens with \"ssl\" but has no \"\(missing)\"", length: 6)
        }
        let (certificateFile, keyFile) = (try path(certificate), try path(key))
        var settings = TLSSettings(
            certificateFile: certificateFile,
            certificate: try pem(
                certificate, certificateFile, "certificate",
                labels: ["CERTIFICATE", "TRUSTED CERTIFICATE", "X509 CERTIFICATE"]),
            certificatePosition: certificate.position, keyFile: keyFile,
            privateKey: try pem(
                key, keyFile, "private key", labels: ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"]),
            keyPosition: key.position)
        settings.allowsTLS12 = tls.allowsTLS12
        settings.allowsTLS13 = tls.allowsTLS13
        settings.clients = try clientCertificates(tls, for: server)
        return settings
    }

    private func clientCertificates(
        _ tls: TLSDraft, for server: SourcePosition
    ) throws(Diagnostic) -> ClientCertificates? {
        if tls.clientVerification == .off { return nil }
        guard let word = tls.clientAuthorities else {
            throw Diagnostic(
                at: server, "this server says \"ssl_verify_client\" but has no \"ssl_client_certificate\"", length: 6)
        }
        let file = try path(word)
        return ClientCertificates(
            file: file,
            authorities: try pem(word, file, "certificate", labels: ["CERTIFICATE", "X509 CERTIFICATE"]),
            isRequired: tls.clientVerification == .on, depth: tls.clientDepth, position: word.position)
    }

    func pem(_ word: Argument, _ path: String, _ kind: String, labels: [String]) throws(Diagnostic) -> [UInt8] {
        let shown = word.isSecret ? "***" : path
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try SourceFile.read(path, maximumBytes: Self.maximumPEMBytes)
        } catch {
            throw word.error("\(kind) file \"\(shown)\" cannot be read: \(error.reason)")
        }
        let text = String(decoding: bytes, as: UTF8.self)
        if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || text.contains("Proc-Type: 4,ENCRYPTED") {
            throw word.error("\(kind) file \"\(shown)\" needs a passphrase, which nobody could enter: decrypt the key")
        }
        guard labels.contains(where: { text.contains("-----BEGIN \($0)-----") && text.contains("-----END \($0)-----") })
        else {
            throw word.error("\(kind) file \"\(shown)\" holds no \(kind) in PEM")
        }
        return bytes
    }
}
