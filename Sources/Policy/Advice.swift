// What would make a refused request pass: one or two sentences for each refusal.

/// What the sentences speak of; empty where it is not known.
package struct AdviceFacts {
    /// What the failed check demanded and found.
    package var expected = ""
    package var got = ""
    /// Who judged the token, and where its keys come from.
    package var provider = ""
    package var keySource = ""
    /// The clock of the gateway, and how far a time of the token is from it: `3 h 12 min`.
    package var clock = ""
    package var distance = ""
    /// Where what demanded it stands, `gateway.conf:41:13`.
    package var place = ""

    package init() {}
}

extension LocalResponse {
    /// The table of docs/explain.md.
    package func advice(_ facts: AdviceFacts) -> [String] {
        switch self {
        case .apiKeyMissing, .apiKeyInvalid, .apiKeyRevoked, .certificateMissing, .certificateInvalid, .tokenInactive,
            .authServiceRefused, .introspectionUnavailable, .authServiceUnavailable, .bindingMismatch:
            otherAdvice(facts)
        case .tokenMissing, .invalidRequest, .tokenTooLarge, .tokenMalformed, .tokenEncryptedUnsupported,
            .signatureMissing, .duplicateClaim, .unsupportedHeader, .unsupportedCrit:
            shapeAdvice(facts)
        case .algNotAllowed, .algKeyMismatch, .keyUnknown, .keysUnavailable, .typNotAllowed, .signatureInvalid:
            keyAdvice(facts)
        case .issuerMismatch, .audienceMismatch, .providerMismatch, .claimMissing, .claimType, .tokenExpired,
            .tokenNotYetValid, .lifetimeExceeded:
            claimAdvice(facts)
        case .insufficientScope, .policyViolation, .accessDenied, .pathInvalid, .pathAmbiguous, .notFound,
            .methodNotAllowed, .bodyTooLarge,
            .originDenied:
            requestAdvice(facts)
        case .requestLine, .versionUnsupported, .methodUnsupported, .uriTooLong, .targetInvalid, .hostInvalid,
            .headerInvalid, .headerTooLarge, .contentLength, .transferEncoding, .transferEncodingUnsupported,
            .clAndTE, .chunkInvalid, .expectationFailed, .messageInvalid, .requestTimeout:
            ["Send a well-formed message: \(facts.got)."]
        case .upstreamUnavailable, .upstreamUntrusted, .upstreamHandshake, .upstreamInvalid, .upstreamClosed,
            .upstreamTimeout, .noLiveUpstream:
            ["The request is good; its upstream is not: \(facts.expected)."]
        case .upgradeInvalid, .upgradeVersion, .upgradeUnsupported:
            ["Send the handshake of a WebSocket (RFC 6455 section 4.1): \(facts.expected)."]
        case .tokenRevoked: ["Get a new token: this one was revoked."]
        case .revocationStale: ["Try again when the feed of revocations answers, or say \"on_stale allow\"."]
        case .overloaded: ["Try again in a moment: the gateway has no room."]
        case .misdirected:
            ["Connect anew by TLS with the name of that host: its server demands other certificates of clients."]
        case .internalError: ["Mend the text of \"return\"\(facts.at): it cannot stand in a field."]
        }
    }

    private func otherAdvice(_ facts: AdviceFacts) -> [String] {
        switch self {
        case .apiKeyMissing: ["Send an API key of provider \"\(facts.provider)\": \(facts.expected)."]
        case .apiKeyInvalid: ["Send a key that is among \(facts.expected)\(facts.at): there is \(facts.got)."]
        case .apiKeyRevoked: ["Get a new key: \(facts.got)."]
        case .certificateMissing, .certificateInvalid:
            ["Connect by TLS with \(facts.expected). This command cannot show one."]
        case .tokenInactive, .authServiceRefused: ["Get a new credential: the service does not take this one."]
        case .introspectionUnavailable, .authServiceUnavailable: ["Try again when the service answers."]
        case .bindingMismatch:
            [
                "Connect by TLS with the certificate that the token is bound to (\(facts.got)), or say "
                    + "\"bound_tokens ignore\"\(facts.at)."
            ]
        default: []
        }
    }

    private func shapeAdvice(_ facts: AdviceFacts) -> [String] {
        switch self {
        case .tokenMissing:
            ["Send a token of provider \"\(facts.provider)\": \(facts.expected)."]
        case .invalidRequest:
            [
                "Send one credential and no more, in one field and without blanks or commas inside: "
                    + "\"Authorization: Bearer TOKEN\"."
            ]
        case .tokenTooLarge:
            ["Get a smaller token (\(facts.got)), or raise token_max_size\(facts.at) above \(facts.expected)."]
        case .tokenMalformed:
            ["Send the token as the issuer gave it, whole and unchanged: \(facts.got)."]
        case .tokenEncryptedUnsupported:
            ["Have the issuer sign its access tokens without encrypting them: a JWE cannot be opened here."]
        case .signatureMissing: ["Have the issuer sign the token: its third part is empty."]
        case .duplicateClaim:
            ["Have the issuer name each member of header and claims once: \(facts.got)."]
        case .unsupportedHeader: ["Have the issuer leave out \(facts.got): compressed and nested tokens are not taken."]
        case .unsupportedCrit: ["Have the issuer leave out \(facts.got): no such extension is implemented."]
        default: []
        }
    }

    private func keyAdvice(_ facts: AdviceFacts) -> [String] {
        switch self {
        case .algNotAllowed:
            [
                "Have the issuer sign with \(facts.expected); or, if \(facts.got) is what it shall use, add it to "
                    + "\"algorithms\" of provider \"\(facts.provider)\"\(facts.at)."
            ]
        case .algKeyMismatch:
            [
                "Sign with the algorithm that the key is for: the token says \(facts.got), and there is \(facts.expected)."
            ]
        case .keyUnknown:
            [
                "Get a token that a key of provider \"\(facts.provider)\" has signed (\(facts.got)); there is "
                    + "\(facts.expected). Was the key withdrawn, or is the token from another installation?"
            ]
        case .keysUnavailable:
            [
                "The keys of \(facts.keySource) are not known here: save what is served there, and say "
                    + "--jwks \(facts.provider)=FILE. A gateway that has fetched them would go on."
            ]
        case .typNotAllowed:
            [
                "Send an access token (typ \(facts.expected)), not \(facts.got); or add the type to "
                    + "\"token_types\" of provider \"\(facts.provider)\"\(facts.at)."
            ]
        case .signatureInvalid:
            [
                "Send the token as it was issued: it was changed on its way, or signed with a key that is not the one "
                    + "of provider \"\(facts.provider)\"\(facts.at)."
            ]
        default: []
        }
    }

    private func claimAdvice(_ facts: AdviceFacts) -> [String] {
        switch self {
        case .issuerMismatch:
            [
                "Get a token of the issuer \(facts.expected), not of \(facts.got); or correct \"issuer\"\(facts.at): "
                    + "it is compared letter by letter."
            ]
        case .audienceMismatch:
            [
                "Ask the issuer for a token whose \"aud\" has \(facts.expected), not \(facts.got); or add the audience "
                    + "to \"audience\"\(facts.at)."
            ]
        case .providerMismatch:
            ["Send a token of \(facts.expected): this one is good, but of \(facts.got)."]
        case .claimMissing: ["Have the issuer put \(facts.expected) into the token: \(facts.got)."]
        case .claimType: ["Have the issuer send a claim of the right type: \(facts.expected), not \(facts.got)."]
        case .tokenExpired:
            ["The token expired \(facts.distance) ago: get a new one. The gateway's clock is \(facts.clock)."]
        case .tokenNotYetValid:
            [
                "The token is good in \(facts.distance): wait, or set the clocks right. The gateway's clock is "
                    + "\(facts.clock)."
            ]
        case .lifetimeExceeded:
            [
                "Have the issuer give tokens for a shorter time (\(facts.got)), or raise \"max_lifetime\"\(facts.at) "
                    + "above \(facts.expected)."
            ]
        default: []
        }
    }

    private func requestAdvice(_ facts: AdviceFacts) -> [String] {
        switch self {
        case .insufficientScope:
            ["The identity needs \(facts.expected), as demanded\(facts.at). It has \(facts.got)."]
        case .policyViolation, .accessDenied:
            ["What is demanded is \(facts.expected)\(facts.at), and the request has \(facts.got)."]
        case .pathInvalid:
            [
                "Send a path without broken or forbidden escapes, backslashes, and \"..\" that leads above the root: "
                    + "not \(facts.got)."
            ]
        case .pathAmbiguous:
            [
                "Send the path in one spelling: \(facts.got). Or say \"path_guard off\" in that location, if no server "
                    + "behind it reads paths otherwise."
            ]
        case .originDenied:
            ["Ask from a page of \(facts.expected), or add what is asked for (\(facts.got)) to \"cors\"\(facts.at)."]
        case .notFound:
            ["Ask for another path, or say \"proxy_pass\" or \"return\" in the location\(facts.at)."]
        case .methodNotAllowed: ["Use another method: \(facts.got) is not served anywhere."]
        case .bodyTooLarge:
            [
                "Send a smaller body (\(facts.got)), or raise \"client_max_body_size\"\(facts.at) above \(facts.expected)."
            ]
        default: []
        }
    }
}

extension AdviceFacts {
    fileprivate var at: String { place.isEmpty ? "" : " (\(place))" }
}
