// Everything that could fail when a configuration is put to use, done once before any worker sees it. What of it may be
// shared, certificates with their keys, is kept for the workers; the rest is thrown away.
import Bytes
package import Configuration
import Policy
import Transport

extension ClientVerification {
    init(_ configured: ClientCertificates) {
        self.init(authorities: configured.authorities, depth: configured.depth, isRequired: configured.isRequired)
    }
}

package struct Rehearsal {
    /// Why the configuration cannot be put to use; empty when it can.
    package private(set) var diagnostics: [Diagnostic] = []
    /// One for each listener; nil where clear text is spoken.
    private(set) var certificates: [ServerCertificate?] = []

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
        for upstream in configuration.upstreams { if let tls = upstream.tls { rehearse(tls) } }
        for (i, listener) in configuration.listeners.enumerated() {
            certificates.append(listener.tls.flatMap { read($0, after: configuration.listeners[..<i]) })
        }
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
                }
            guard let file, !diagnostics.contains(where: { $0.position == file.position }) else { return }
            diagnostics.append(Diagnostic(at: file.position, "\(file.file) is not usable: \(error.reason)"))
        }
    }
    /// The certificate of a listener, for which settings can be made.
    private mutating func read(_ tls: TLSSettings, after earlier: ArraySlice<Configuration.Listener>)
        -> ServerCertificate?
    {
        if let known = earlier.firstIndex(where: { $0.tls?.isServed(like: tls) == true }) { return certificates[known] }
        do throws(TLSError) {
            let same = earlier.firstIndex {
                $0.tls?.certificate == tls.certificate && $0.tls?.privateKey == tls.privateKey
            }
            let certificate =
                if let same, let read = certificates[same] {
                    read
                } else {
                    try ServerCertificate.reading(certificate: tls.certificate, privateKey: tls.privateKey)
                }
            _ = try TLSContext.server(certificate, tls, tickets: nil, offersStreams: false)
            return certificate
        } catch {
            diagnostics.append(Self.describe(error, tls))
            return nil
        }
    }
    private static func describe(_ error: TLSError, _ tls: TLSSettings) -> Diagnostic {
        switch error.subject {
        case .certificate, .authorities, .context:
            Diagnostic(
                at: tls.certificatePosition, "\(tls.certificateFile) is not a usable certificate: \(error.reason)")
        case .clientAuthorities:
            Diagnostic(
                at: tls.clients?.position ?? tls.certificatePosition,
                "\(tls.clients?.file ?? "the file") is not usable: \(error.reason)")
        case .privateKey:
            Diagnostic(
                at: tls.keyPosition,
                "\(tls.keyFile) is not a usable key for \(tls.certificateFile): \(error.reason)")
        }
    }
}

extension TLSContext {
    /// What listeners with these settings show and ask for.
    static func server(
        _ certificate: ServerCertificate, _ tls: TLSSettings, tickets: TicketKeys?, offersStreams: Bool
    ) throws(TLSError) -> TLSContext {
        try server(
            certificate, allowsTLS12: tls.allowsTLS12, allowsTLS13: tls.allowsTLS13, tickets: tickets,
            offersStreams: offersStreams, clients: tls.clients.map { ClientVerification($0) })
    }
}
