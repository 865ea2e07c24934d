// Everything that could fail when a configuration is put to use, done once and thrown away, before any worker sees it.
import Bytes
package import Configuration
import Policy
import Transport

extension ClientVerification {
    init(_ configured: ClientCertificates) {
        self.init(authorities: configured.authorities, depth: configured.depth, isRequired: configured.isRequired)
    }
}

package enum Rehearsal {
    /// Why the configuration cannot be put to use; empty when it can.
    package static func diagnostics(of configuration: GatewayConfiguration) -> [Diagnostic] {
        var diagnostics: [Diagnostic] = []
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
        for listener in configuration.listeners {
            guard let tls = listener.tls else { continue }
            do throws(TLSError) {
                _ = try TLSContext.server(
                    certificate: tls.certificate, privateKey: tls.privateKey, allowsTLS12: tls.allowsTLS12,
                    allowsTLS13: tls.allowsTLS13, tickets: nil,
                    clients: tls.clients.map { ClientVerification($0) })
            } catch {
                diagnostics.append(describe(error, tls))
            }
        }
        return diagnostics
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
