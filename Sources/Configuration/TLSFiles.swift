// Reads the files that the TLS of a server names.

extension ConfigurationReader {
    /// More than any chain of certificates, or any OCSP response.
    private static let maximumFileBytes = 1 << 20

    /// Reads the files of a server that listens with TLS.
    func settings(_ tls: TLSDraft, for server: SourcePosition) throws(Diagnostic) -> TLSSettings {
        guard !tls.certificates.isEmpty, !tls.keys.isEmpty else {
            let missing = tls.certificates.isEmpty ? "ssl_certificate" : "ssl_certificate_key"
            throw Diagnostic(at: server, "this server listens with \"ssl\" but has no \"\(missing)\"", length: 6)
        }
        guard tls.certificates.count == tls.keys.count else {
            let word = (tls.certificates.count > tls.keys.count ? tls.certificates : tls.keys)[
                min(tls.certificates.count, tls.keys.count)]
            let other = tls.certificates.count > tls.keys.count ? "\"ssl_certificate_key\"" : "\"ssl_certificate\""
            throw word.error("there is no \(other) for \"\(word.shown)\": they are said in pairs")
        }
        var files: [CertificateFiles] = []
        for (certificate, key) in zip(tls.certificates, tls.keys) { files.append(try pair(certificate, key)) }
        var settings = TLSSettings(certificates: files)
        for word in tls.staples {
            let file = try path(word)
            settings.staples.append(
                StapleFile(file: file, response: try content(word, file, "OCSP response"), position: word.position))
        }
        settings.allowsTLS12 = tls.allowsTLS12
        settings.allowsTLS13 = tls.allowsTLS13
        settings.ciphers = tls.ciphers.map { CipherList(text: $0.text, position: $0.position) }
        settings.curves = tls.curves
        settings.offersTickets = tls.offersTickets
        if let word = tls.keyLog { settings.keyLog = KeyLogFile(file: try path(word), position: word.position) }
        settings.clients = try clientCertificates(tls, for: server)
        return settings
    }
    private func pair(_ certificate: Argument, _ key: Argument) throws(Diagnostic) -> CertificateFiles {
        let (certificateFile, keyFile) = (try path(certificate), try path(key))
        return CertificateFiles(
            certificateFile: certificateFile, keyFile: keyFile,
            certificate: try pem(
                certificate, certificateFile, "certificate",
                labels: ["CERTIFICATE", "TRUSTED CERTIFICATE", "X509 CERTIFICATE"]),
            privateKey: try pem(
                key, keyFile, "private key", labels: ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"]),
            certificatePosition: certificate.position, keyPosition: key.position)
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
        let bytes = try content(word, path, kind)
        let shown = word.isSecret ? "***" : path
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
    private func content(_ word: Argument, _ path: String, _ kind: String) throws(Diagnostic) -> [UInt8] {
        do throws(FileError) {
            return try SourceFile.read(path, maximumBytes: Self.maximumFileBytes)
        } catch {
            let shown = word.isSecret ? "***" : path
            throw word.error("\(kind) file \"\(shown)\" cannot be read: \(error.reason)")
        }
    }
}
