// The checks of credentials that are not signed tokens: keys of a file, what a service is asked about, certificates.
import Bytes
import Configuration
import HTTP
import JOSE
import Policy

extension Explainer {
    /// The checks of one provider, whatever it judges.
    func credentialSteps(
        of provider: AuthProvider, _ token: [UInt8]?, _ unpacked: UnpackedToken?, _ now: Int64
    ) -> [Explanation.Step] {
        switch provider.kind {
        case .jwt: return tokenSteps(of: provider, unpacked, now)
        case .apiKey: return keySteps(of: provider, token, now)
        case .introspection:
            let size = Explanation.Step(
                .tokenSize, demands("token_max_size", of: provider), expected: "at most \(provider.tokenSize) bytes",
                got: token.map { "\($0.count) bytes" })
            return [size, serviceStep(provider)]
        case .request: return [serviceStep(provider)]
        case .clientCertificate:
            return [
                Explanation.Step(
                    .certificate, demands("subject", of: provider) + demands("auth_provider", of: provider),
                    expected: "a client certificate that an authority of \"ssl_client_certificate\" has signed",
                    got: "none: this command shows no certificate")
            ]
        }
    }

    private func serviceStep(_ provider: AuthProvider) -> Explanation.Step {
        Explanation.Step(
            .service, demands("url", of: provider),
            expected: "\(provider.lookup?.address.url ?? "the service") says that it is good",
            got: "asked at run time: not checked offline")
    }

    private func keySteps(of provider: AuthProvider, _ key: [UInt8]?, _ now: Int64) -> [Explanation.Step] {
        guard let file = provider.apiKeys else {
            return [Self.prefixStep(provider, key, demands("prefix", of: provider)), serviceStep(provider)]
        }
        let hash = key.map { SHA256().hash($0.span) }
        let known = file.keys.first { $0.hash == hash }
        var got = "no such key"
        if let known {
            let end = known.expiresAt.map { ", expires \(ExplainedTime.relative($0, to: now))" } ?? ""
            got = "the key of id \"\(known.id)\"" + (known.isRevoked ? ", revoked" : "") + end
        }
        return [
            Self.prefixStep(provider, key, demands("prefix", of: provider)),
            Explanation.Step(
                .apiKey, demands("file", of: provider),
                expected: "one of \(file.keys.count) keys, not revoked and not expired",
                got: key.map { _ in got }),
        ]
    }
    private static func prefixStep(
        _ provider: AuthProvider, _ key: [UInt8]?, _ demands: [Explanation.Demand]
    ) -> Explanation.Step {
        let prefix = provider.keyPrefix.map { Array($0.utf8) } ?? []
        return Explanation.Step(
            .keyPrefix, demands, expected: provider.keyPrefix.map { "\"\($0)\" at its beginning" } ?? "any beginning",
            got: key.map { $0.starts(with: prefix) ? "it is" : "it is not" })
    }

    /// Who judges: of signed tokens alone whom the authenticator names; else whose place holds the credential.
    mutating func judge(
        _ plan: AuthenticationPlan, _ providers: [AuthProvider], _ token: [UInt8]?, _ unpacked: UnpackedToken?
    ) -> AuthProvider? {
        if plan.isPlain, let token {
            let name = authenticator.judge(of: token.span, asking: plan[0], plan)
            return configuration.providers.first { $0.name == name }
        }
        let holders = providers.filter { provider in
            if case .missing = Credential(head, provider.places) { false } else { true }
        }
        let named = holders.first { $0.kind == .jwt && ($0.issuer == nil || $0.issuer == unpacked?.claim("iss")?.text) }
        return named ?? holders.first { $0.kind == .introspection } ?? holders.first
            ?? providers.first { $0.kind == .request } ?? providers.first { $0.kind == .clientCertificate }
    }
}
