// What is checked of a signed token, in the order of `TokenVerifier`: what the provider demands and what the token says.
import Configuration
import JOSE
import Policy

extension Explainer {
    /// The checks of one provider. Which of them failed is the authenticator's to say.
    func tokenSteps(of provider: AuthProvider, _ token: UnpackedToken?, _ now: Int64) -> [Explanation.Step] {
        shapeSteps(provider, token) + keySteps(provider, token) + claimSteps(provider, token, now)
    }

    func demands(_ directive: String, of provider: AuthProvider) -> [Explanation.Demand] {
        demands(directive, at: provider.position)
    }
    private func step(
        _ check: Explanation.Check, _ directives: [String], of provider: AuthProvider, _ expected: String,
        _ got: String?
    ) -> Explanation.Step {
        var found = directives.flatMap { demands($0, of: provider) }
        // What the provider says nothing of, holds by being one.
        if found.isEmpty { found = [Explanation.Demand("auth_provider", provider.position)] }
        return Explanation.Step(check, found, expected: expected, got: got)
    }

    private func shapeSteps(_ provider: AuthProvider, _ token: UnpackedToken?) -> [Explanation.Step] {
        let types = provider.tokenTypes.map { $0 ?? "absent" }.joined(separator: " or ")
        let refused = ["crit", "b64", "zip"].compactMap { token?.headerMember($0) }
        let nested = token?.headerMember("cty")
        let extensions = (refused + (nested.map { [$0] } ?? [])).map { "\($0.name) \($0.shown)" }
        return [
            step(
                .tokenSize, ["token_max_size"], of: provider, "at most \(provider.tokenSize) bytes",
                token.map { "\($0.bytes) bytes" }),
            step(
                .tokenShape, [], of: provider,
                "three parts of base64url with dots between, header and claims not empty",
                token.map { Self.shape($0) }),
            step(
                .header, [], of: provider, "a JSON object, each member once",
                token.map { $0.header.map { Self.list($0) } ?? "not readable" }),
            step(
                .algorithm, ["algorithms"], of: provider, provider.algorithms.map(\.name).joined(separator: " or "),
                token.map { "alg \(Self.shown($0.headerMember("alg")))" }),
            step(
                .type, ["token_types"], of: provider, types, token.map { "typ \(Self.shown($0.headerMember("typ")))" }),
            step(
                .extensions, [], of: provider, "no crit, b64 or zip, and no cty of a token in a token",
                token.map { _ in extensions.isEmpty ? "none" : extensions.joined(separator: ", ") }),
        ]
    }

    private func keySteps(_ provider: AuthProvider, _ token: UnpackedToken?) -> [Explanation.Step] {
        var set = provider.ownKeys
        if let fetched = keys[provider.name] { set.append(fetched) }
        let wanted = token?.headerMember("kid")
        let named = set.keys.filter { $0.id == wanted?.text }
        var got = "no kid in the token, \(set.keys.count) keys to try"
        if let wanted {
            got = "kid \(wanted.shown): " + (named.isEmpty ? "not among them" : "found")
        }
        let owners = set.keys.map { key in
            "\(key.id.map { "\"\($0)\"" } ?? "one without kid") (\(key.material.keyType)"
                + (key.algorithm.map { " for \($0.name))" } ?? ")")
        }
        var expected =
            (owners.count == 1 ? "this key: " : "one of \(owners.count) keys: ")
            + owners.prefix(8).joined(separator: ", ")
        if owners.count > 8 { expected += " and \(owners.count - 8) more" }
        if set.keys.isEmpty { expected = "a key of \(Self.keySource(of: provider)), of which none is known here" }
        let sources = ["jwks", "discovery", "key_file", "secret"]
        return [
            step(.key, sources, of: provider, expected, token.map { _ in got }),
            step(
                .signature, sources, of: provider, "made with that key, over header and claims",
                token.map { $0.signatureIsEmpty ? "there is none" : "it fits" }),
        ]
    }
    static func keySource(of provider: AuthProvider) -> String {
        let places = provider.keySources.map(\.shown) + provider.keyFiles
        return places.joined(separator: " and ")
    }

    private func claimSteps(_ provider: AuthProvider, _ token: UnpackedToken?, _ now: Int64) -> [Explanation.Step] {
        let required = provider.requiredClaims.joined(separator: " ")
        let present = provider.requiredClaims.map { name in "\(name) \(Self.shown(token?.claim(name)))" }
        return [
            step(
                .claims, [], of: provider, "a JSON object, each member once",
                token.map { $0.claims.map { "\($0.count) claims" } ?? "not readable" }),
            step(
                .issuer, ["issuer"], of: provider, provider.issuer.map { "\"\($0)\"" } ?? "any: issuer off",
                token.map { "iss \(Self.shown($0.claim("iss")))" }),
            step(
                .audience, ["audience", "audience_match"], of: provider,
                provider.audience.isEmpty
                    ? "any: audience off"
                    : provider.audience.map { "\"\($0)\"" }.joined(
                        separator: provider.needsAllAudiences ? " and " : " or "),
                token.map { "aud \(Self.shown($0.claim("aud")))" }),
        ] + timeSteps(provider, token, now) + [
            step(
                .requiredClaims, ["required_claims"], of: provider, required.isEmpty ? "none" : required,
                token.map { _ in present.isEmpty ? "nothing is asked for" : present.joined(separator: ", ") }),
            step(
                .binding, ["bound_tokens"], of: provider, Self.binding(provider.boundTokens),
                token.map { "cnf \(Self.shown($0.claim("cnf")))" }),
            step(
                .identity, ["claims"], of: provider, "what identifies fits into a field of 2048 bytes",
                token.map { "sub \(Self.shown($0.claim("sub")))" }),
        ]
    }

    private func timeSteps(_ provider: AuthProvider, _ token: UnpackedToken?, _ now: Int64) -> [Explanation.Step] {
        let leeway = provider.leeway.components.seconds
        let clock = "\(ExplainedTime.date(now)) (leeway \(leeway) s)"
        func time(_ name: String) -> String {
            guard let claim = token?.claim(name) else { return "\(name) absent" }
            guard let seconds = claim.seconds else { return "\(name) \(claim.shown), which is no date" }
            return "\(name) \(claim.text) = \(ExplainedTime.relative(seconds, to: now))"
        }
        let expires = token?.claim("exp")?.seconds
        let start = token?.claim("iat")?.seconds ?? now
        let lifetime = expires.map { ExplainedTime.length($0.subtractingReportingOverflow(start).partialValue) }
        let needsExpiry = provider.requiredClaims.contains("exp")
        return [
            step(
                .expiry, ["leeway", "required_claims"], of: provider,
                (needsExpiry ? "an exp" : "no exp, or one") + " after \(clock)", token.map { _ in time("exp") }),
            step(
                .notBefore, ["leeway"], of: provider, "no nbf or iat after \(clock)",
                token.map { _ in "\(time("nbf")); \(time("iat"))" }),
            step(
                .lifetime, ["max_lifetime"], of: provider,
                provider.maxLifetime.map { "at most \(ExplainedTime.length($0.components.seconds))" }
                    ?? "any: max_lifetime off",
                token.map { _ in lifetime ?? "no end" }),
        ]
    }

    // Words

    private static func binding(_ policy: BoundTokens) -> String {
        switch policy {
        case .check: "no cnf, or the certificate that it names"
        case .require: "a cnf with the certificate that it names"
        case .ignore: "any: bound_tokens ignore"
        }
    }

    private static func shape(_ token: UnpackedToken) -> String {
        guard token.parts == 3 else { return token.parts == 1 ? "1 part" : "\(token.parts) parts" }
        return token.fault == .shape ? "3 parts, but not all of them are base64url" : "3 parts"
    }

    static func shown(_ member: UnpackedToken.Member?) -> String { member?.shown ?? "absent" }

    /// Long values, as certificates are, are cut.
    private static func list(_ members: [UnpackedToken.Member]) -> String {
        members.map { member in
            let text = member.shown
            return "\(member.name) " + (text.count > 80 ? text.prefix(80) + "…" : text)
        }.joined(separator: ", ")
    }
}
