// Everything that could fail when a configuration is put to use, done once before any worker sees it. What of it may be
// shared, certificates with their keys, is kept for the workers; the rest is thrown away.
import Bytes
package import Configuration
import Policy
import Transport

package struct Rehearsal {
    /// Why the configuration cannot be put to use; empty when it can.
    package private(set) var diagnostics: [Diagnostic] = []
    private(set) var profiles = TLSProfiles()
    /// What was read already, and from what.
    private var certificates: [(files: CertificateFiles, read: ServerCertificate)] = []

    package init(of configuration: GatewayConfiguration) {
        var pool = UpstreamPool()
        let snapshot = Snapshot.compile(configuration, into: &pool, &diagnostics)
        if snapshot == nil && diagnostics.isEmpty {
            diagnostics.append(
                Diagnostic(
                    at: SourcePosition(file: "", line: 1, column: 1), "the configuration cannot be compiled"))
        }
        for authorities in configuration.trustedAuthorities {
            do throws(TLSError) {
                _ = try TLSContext.client(authorities: authorities.certificates)
            } catch {
                diagnostics.append(
                    Diagnostic(at: authorities.position, "\(authorities.file) is not usable: \(error.reason)"))
            }
        }
        var rehearsed: [UpstreamTLS] = []
        for tls in configuration.upstreams.compactMap({ $0.tls?.nameless }) where !rehearsed.contains(tls) {
            rehearsed.append(tls)
            rehearse(tls)
        }
        for server in configuration.servers.indices { profiles.ofServer.append(profile(of: server, configuration)) }
    }
    /// Each of the files is to be blamed once, whoever uses it.
    private mutating func rehearse(_ tls: UpstreamTLS) {
        do throws(TLSError) {
            _ = try TLSContext.towards(UpstreamSecurity(tls, isFramed: false))
        } catch {
            let file: PEMFile? =
                switch error.subject {
                case .authorities, .clientAuthorities, .context: tls.authorities ?? tls.certificate
                case .certificate: tls.certificate
                case .privateKey: tls.key
                case .ciphers, .curves, .keyLog: nil
                }
            guard let file, !diagnostics.contains(where: { $0.position.text == file.position.text }) else { return }
            diagnostics.append(Diagnostic(at: file.position, "\(file.file) is not usable: \(error.reason)"))
        }
    }

    // MARK: TLS

    /// The profile of a server, an earlier one's where clients see no difference; nil: it has none, or none that is usable.
    private mutating func profile(of server: Int, _ configuration: GatewayConfiguration) -> Int? {
        let servers = configuration.servers
        guard let tls = servers[server].tls else { return nil }
        let others = configuration.hasOtherTLS(server)
        let streams = configuration.streams(of: server)
        for earlier in 0..<server where servers[earlier].tls?.isServed(like: tls) == true {
            if configuration.hasOtherTLS(earlier) == others && (configuration.streams(of: earlier) > 0) == (streams > 0)
            {
                return profiles.ofServer[earlier]
            }
        }
        let terms = ServerTerms(tls, configuration.process, streams: streams, hasOtherServers: others)
        guard let shown = read(tls), let staples = staples(tls, shown) else { return nil }
        do throws(TLSError) {
            _ = try TLSContext.server(shown, staples, terms, tickets: nil)
        } catch {
            diagnostics.append(Self.describe(error, tls, tls.certificates[0]))
            return nil
        }
        profiles.list.append(TLSProfile(certificates: shown, staples: staples, terms: terms))
        return profiles.list.count - 1
    }
    private mutating func read(_ tls: TLSSettings) -> [ServerCertificate]? {
        var shown: [ServerCertificate] = []
        for (place, files) in tls.certificates.enumerated() {
            do throws(TLSError) {
                shown.append(try read(files))
            } catch {
                diagnostics.append(Self.describe(error, tls, files))
                return nil
            }
            let kind = shown[place].kind
            if let earlier = shown[..<place].firstIndex(where: { $0.kind == kind }) {
                let first = tls.certificates[earlier].certificatePosition.text
                diagnostics.append(
                    Diagnostic(
                        at: files.certificatePosition,
                        "two certificates with \(kind.rawValue) keys: clients are shown one of each kind; the other one is "
                            + "at \(first)"))
                return nil
            }
        }
        return shown
    }
    private mutating func read(_ files: CertificateFiles) throws(TLSError) -> ServerCertificate {
        let known = certificates.first {
            $0.files.certificate == files.certificate && $0.files.privateKey == files.privateKey
        }
        if let known { return known.read }
        let read = try ServerCertificate.reading(certificate: files.certificate, privateKey: files.privateKey)
        certificates.append((files, read))
        return read
    }
    /// Each response belongs to one of the certificates.
    private mutating func staples(_ tls: TLSSettings, _ shown: [ServerCertificate]) -> [Staple?]? {
        var staples: [Staple?] = shown.map { _ in nil }
        for file in tls.staples {
            var reason = StapleError.forSomebodyElse
            var place: Int?
            for i in shown.indices where place == nil && reason == .forSomebodyElse {
                do throws(StapleError) {
                    staples[i] = try shown[i].staple(file.response)
                    place = i
                } catch {
                    reason = error
                }
            }
            if place != nil { continue }
            diagnostics.append(Diagnostic(at: file.position, "\(file.file) cannot be stapled: \(reason.text)"))
            return nil
        }
        return staples
    }
    private static func describe(_ error: TLSError, _ tls: TLSSettings, _ files: CertificateFiles) -> Diagnostic {
        switch error.subject {
        case .certificate, .context, .authorities, .curves:
            Diagnostic(
                at: files.certificatePosition, "\(files.certificateFile) is not a usable certificate: \(error.reason)")
        case .clientAuthorities:
            Diagnostic(
                at: tls.clients?.position ?? files.certificatePosition,
                "\(tls.clients?.file ?? "the file") is not usable: \(error.reason)")
        case .privateKey:
            Diagnostic(
                at: files.keyPosition,
                "\(files.keyFile) is not a usable key for \(files.certificateFile): \(error.reason)")
        case .ciphers:
            Diagnostic(
                at: tls.ciphers?.position ?? files.certificatePosition,
                "\"ssl_ciphers\" cannot be offered: \(error.reason)")
        case .keyLog:
            Diagnostic(
                at: tls.keyLog?.position ?? files.certificatePosition,
                "\(tls.keyLog?.file ?? "the file") cannot be written to: \(error.reason)")
        }
    }
}

extension StapleError {
    fileprivate var text: String {
        switch self {
        case .malformed: "it is no OCSP response in DER, or one without an answer"
        case .forSomebodyElse: "it speaks of another certificate"
        case .signature: "the issuer of the certificate has not signed it"
        case .expired: "its time is over, or yet to come"
        case .revoked: "it says that the certificate is revoked"
        case .unknown: "it says that nothing is known of the certificate"
        }
    }
}

extension GatewayConfiguration {
    /// On one of this server's listeners another server has other TLS settings: who is wanted must be known first.
    fileprivate func hasOtherTLS(_ server: Int) -> Bool {
        guard let tls = servers[server].tls else { return false }
        return servers.contains { other in
            guard let theirs = other.tls, !Set(other.listeners).isDisjoint(with: servers[server].listeners) else {
                return false
            }
            return !theirs.isServed(like: tls)
        }
    }
    /// Streams that connections of this server may carry: the same on all of its listeners.
    fileprivate func streams(of server: Int) -> Int {
        servers[server].listeners.first.map { listeners[$0].streams } ?? 0
    }
}
