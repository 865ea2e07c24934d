// Every answer the gateway itself can give, in one table: the same word stands in the response, the log and the metric.
package import HTTP

/// A refusal, named by its machine code. Its texts are fixed: nothing of a request is ever echoed in an answer.
package enum LocalResponse: UInt8, BitwiseCopyable, CaseIterable, Sendable {
    // the credential
    case tokenMissing, invalidRequest
    case apiKeyMissing, apiKeyInvalid, apiKeyRevoked, certificateMissing, certificateInvalid
    // what a service said about it, or could not say
    case tokenInactive, authServiceRefused, introspectionUnavailable, authServiceUnavailable
    // the token's shape
    case tokenTooLarge, tokenMalformed, tokenEncryptedUnsupported, signatureMissing, duplicateClaim
    // its header, its key and its signature
    case unsupportedHeader, unsupportedCrit, algNotAllowed, algKeyMismatch, keyUnknown, typNotAllowed, signatureInvalid
    // its claims
    case issuerMismatch, audienceMismatch, providerMismatch, claimMissing, claimType, tokenExpired, tokenNotYetValid
    case lifetimeExceeded, tokenRevoked, bindingMismatch
    // what it allows, and whether that can be judged
    case insufficientScope, policyViolation, accessDenied, keysUnavailable, revocationStale
    // whose page asks
    case originDenied
    // the path and the method
    case pathInvalid, pathAmbiguous, notFound, methodNotAllowed
    // the change to another protocol
    case upgradeInvalid, upgradeVersion, upgradeUnsupported
    // the connection that a request came by
    case misdirected
    // time and size of the request
    case requestTimeout, bodyTooLarge
    // the upstream
    case upstreamUnavailable, upstreamUntrusted, upstreamHandshake
    case upstreamInvalid, upstreamClosed, upstreamTimeout, noLiveUpstream
    // the gateway
    case overloaded, internalError
    // HTTP messages that cannot be understood, or could be understood in two ways
    case requestLine, versionUnsupported, methodUnsupported, uriTooLong, targetInvalid, hostInvalid
    case headerInvalid, headerTooLarge, contentLength, transferEncoding, transferEncodingUnsupported, clAndTE
    case chunkInvalid, expectationFailed
    /// Found by the library that reads frames.
    case messageInvalid
}

extension LocalResponse {
    /// What a refusal says about credentials (RFC 6750 section 3.1).
    package enum Challenge: UInt8, Sendable {
        /// No `WWW-Authenticate` field.
        case none
        /// The request brought no credentials: the realm alone, no error.
        case bare
        case invalidToken, invalidRequest, insufficientScope
    }

    /// A row of the table.
    package struct Answer: Sendable {
        package let status: Int
        /// The machine code: `code` of the body, `Gateway-Error`, `auth_reason` of the log, `reason` of the metric.
        package let code: StaticString
        /// One fixed sentence for people, without quotes or backslashes, so that it may stand in any field.
        package let detail: StaticString
        package let challenge: Challenge
        /// True where the rest of the connection's bytes can no longer be trusted, or are not wanted.
        package let closesConnection: Bool
        /// Value of `Retry-After`; 0: no such field.
        package let retryAfterSeconds: Int

        init(
            _ status: Int, _ code: StaticString, _ detail: StaticString, _ challenge: Challenge = .none,
            closes: Bool = false, retryAfterSeconds: Int = 0
        ) {
            self.status = status
            self.code = code
            self.detail = detail
            self.challenge = challenge
            closesConnection = closes
            self.retryAfterSeconds = retryAfterSeconds
        }
    }

    package var status: Int { answer.status }
    package var code: StaticString { answer.code }
    package var detail: StaticString { answer.detail }
    package var challenge: Challenge { answer.challenge }
    package var closesConnection: Bool { answer.closesConnection }
    package var retryAfterSeconds: Int { answer.retryAfterSeconds }
    /// The status in words, as `about:blank` demands (RFC 9457 section 4.2.1).
    package var title: StaticString { StatusPhrase.of(answer.status) }

    /// The table.
    package var answer: Answer {
        switch self {
        case .tokenMissing: Answer(401, "token_missing", "An access token is required", .bare)
        case .invalidRequest: Answer(400, "invalid_request", "The credentials are not well formed", .invalidRequest)
        case .apiKeyMissing: Answer(401, "api_key_missing", "An API key is required", .bare)
        case .apiKeyInvalid: Answer(401, "api_key_invalid", "The API key is not valid", .bare)
        case .apiKeyRevoked: Answer(401, "api_key_revoked", "The API key was revoked", .bare)
        case .certificateMissing: Answer(403, "certificate_missing", "A client certificate is required")
        case .certificateInvalid: Answer(403, "certificate_invalid", "The client certificate names nobody")
        case .tokenInactive: .token("token_inactive", "The access token is not active")
        case .authServiceRefused: Answer(401, "auth_service_refused", "The credentials were not accepted")
        case .introspectionUnavailable:
            Answer(503, "introspection_unavailable", "Credentials cannot be checked now", retryAfterSeconds: 2)
        case .authServiceUnavailable:
            Answer(503, "auth_service_unavailable", "Requests cannot be checked now", retryAfterSeconds: 2)
        case .tokenTooLarge: .token("token_too_large", "The access token is too large")
        case .tokenMalformed: .token("token_malformed", "The access token is malformed")
        case .tokenEncryptedUnsupported:
            .token("token_encrypted_unsupported", "Encrypted access tokens are not supported")
        case .signatureMissing: .token("signature_missing", "The access token is not signed")
        case .duplicateClaim: .token("duplicate_claim", "The access token names a member twice")
        case .unsupportedHeader: .token("unsupported_header", "The header of the access token is not supported")
        case .unsupportedCrit: .token("unsupported_crit", "The access token demands an unknown extension")
        case .algNotAllowed: .token("alg_not_allowed", "The algorithm of the access token is not allowed")
        case .algKeyMismatch: .token("alg_key_mismatch", "The algorithm does not fit the signing key")
        case .keyUnknown: .token("key_unknown", "The signing key of the access token is not known")
        case .typNotAllowed: .token("typ_not_allowed", "The type of the token is not accepted here")
        case .signatureInvalid: .token("signature_invalid", "The signature of the access token is not valid")
        case .issuerMismatch: .token("issuer_mismatch", "The access token comes from another issuer")
        case .audienceMismatch: .token("audience_mismatch", "The access token is meant for another audience")
        case .providerMismatch: .token("provider_mismatch", "The access token belongs to another provider")
        case .claimMissing: .token("claim_missing", "The access token lacks a required claim")
        case .claimType: .token("claim_type", "A claim of the access token has the wrong type")
        case .tokenExpired: .token("token_expired", "The access token expired")
        case .tokenNotYetValid: .token("token_not_yet_valid", "The access token is not valid yet")
        case .lifetimeExceeded: .token("lifetime_exceeded", "The access token is valid for too long")
        case .tokenRevoked: .token("token_revoked", "The access token was revoked")
        case .bindingMismatch: .token("binding_mismatch", "The access token is bound to another owner")
        case .insufficientScope:
            Answer(403, "insufficient_scope", "The access token lacks a permission", .insufficientScope)
        case .policyViolation: Answer(403, "policy_violation", "A policy does not allow this")
        case .accessDenied: Answer(403, "access_denied", "The identity is not allowed to do this")
        case .originDenied: Answer(403, "origin_denied", "Pages of this origin may not do this")
        case .keysUnavailable:
            Answer(503, "keys_unavailable", "Tokens cannot be checked at the moment", retryAfterSeconds: 2)
        case .revocationStale:
            Answer(503, "revocation_stale", "It is not known which tokens were revoked", retryAfterSeconds: 5)
        case .pathInvalid: Answer(400, "path_invalid", "The path is not valid")
        case .pathAmbiguous: Answer(400, "path_ambiguous", "The path can be read in several ways")
        case .notFound: Answer(404, "not_found", "Nothing is served here")
        case .methodNotAllowed: Answer(405, "method_not_allowed", "The method is not allowed")
        case .upgradeInvalid: Answer(400, "upgrade_invalid", "The WebSocket handshake is not valid")
        case .upgradeVersion: Answer(426, "upgrade_version", "The version of WebSocket is not supported")
        case .upgradeUnsupported: .closing(501, "upgrade_unsupported", "This protocol is not spoken here")
        case .misdirected: Answer(421, "misdirected_request", "This host is not served on this connection")
        case .requestTimeout: .closing(408, "request_timeout", "The request took too long")
        case .bodyTooLarge: .closing(413, "body_too_large", "The body is too large")
        case .upstreamUnavailable: Answer(502, "upstream_unavailable", "The upstream cannot be reached")
        case .upstreamUntrusted: Answer(502, "upstream_untrusted", "The upstream did not prove who it is")
        case .upstreamHandshake: Answer(502, "upstream_tls_failed", "The upstream and the gateway agreed on no TLS")
        case .upstreamInvalid: Answer(502, "upstream_invalid", "The upstream gave an answer that is not valid")
        case .upstreamClosed: Answer(502, "upstream_closed", "The upstream closed before it answered")
        case .upstreamTimeout: Answer(504, "upstream_timeout", "The upstream took too long")
        case .noLiveUpstream: Answer(502, "no_live_upstream", "No upstream is in service")
        case .overloaded: Answer(503, "overloaded", "The gateway has no room at the moment", retryAfterSeconds: 1)
        case .internalError: .closing(500, "internal_error", "The gateway failed")
        case .requestLine: .closing(400, "request_line", "The request line is not valid")
        case .versionUnsupported: .closing(505, "version_unsupported", "The HTTP version is not supported")
        case .methodUnsupported: .closing(501, "method_unsupported", "The method is not supported")
        case .uriTooLong: .closing(414, "uri_too_long", "The request line is too long")
        case .targetInvalid: .closing(400, "target_invalid", "The request target is not valid")
        case .hostInvalid: .closing(400, "host_invalid", "The host is missing or not valid")
        case .headerInvalid: .closing(400, "header_invalid", "A header field is not valid")
        case .headerTooLarge: .closing(431, "header_too_large", "The header fields are too large")
        case .contentLength: .closing(400, "content_length", "Content-Length is not valid")
        case .transferEncoding: .closing(400, "transfer_encoding", "Transfer-Encoding is not valid")
        case .transferEncodingUnsupported:
            .closing(501, "transfer_encoding_unsupported", "The transfer coding is not supported")
        case .clAndTE: .closing(400, "cl_and_te", "Content-Length and Transfer-Encoding exclude each other")
        case .chunkInvalid: .closing(400, "chunk_invalid", "The chunked body is not valid")
        case .expectationFailed: .closing(417, "expectation_failed", "The expectation cannot be met")
        case .messageInvalid: .closing(400, "http2_message_invalid", "The message is not valid")
        }
    }
}

extension LocalResponse.Answer {
    /// A token that was brought and is not good: 401, the connection kept.
    static func token(_ code: StaticString, _ detail: StaticString) -> Self { Self(401, code, detail, .invalidToken) }
    /// A request after which the connection cannot go on: where its next request begins is not known.
    static func closing(_ status: Int, _ code: StaticString, _ detail: StaticString) -> Self {
        Self(status, code, detail, closes: true)
    }
}

extension LocalResponse {
    /// The answer to a request that is not a message as HTTP wants it.
    package init(_ error: MessageError) {
        self =
            switch error {
            case .requestLine, .emptyLine, .statusLine: .requestLine
            case .methodTooLong: .methodUnsupported
            case .tunnelProtocol: .upgradeUnsupported
            case .target: .targetInvalid
            case .versionUnsupported: .versionUnsupported
            case .requestLineTooLong: .uriTooLong
            case .lineEnd, .fieldName, .fieldValue, .foldedLine, .tooManyOptions: .headerInvalid
            case .fieldTooLong, .headTooLarge, .tooManyFields, .trailerTooLarge: .headerTooLarge
            case .host: .hostInvalid
            case .contentLength: .contentLength
            case .contentLengthAndTransferEncoding: .clAndTE
            case .transferEncoding: .transferEncoding
            case .transferCoding: .transferEncodingUnsupported
            case .expectation: .expectationFailed
            case .chunkSize, .chunkExtension, .chunkOverhead, .chunkEnd, .trailer, .cutShort: .chunkInvalid
            }
    }
}
