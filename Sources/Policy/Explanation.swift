// What `gateway explain` tells: every check of one request with what was demanded where and what was found, the answer, and what
// would make it another one.
package import Configuration

package struct Explanation: Sendable {
    /// The checks, in the order in which they are made.
    package enum Check: String, Sendable, CaseIterable {
        case listener, message, server, path, location, pathGuard = "path_guard", origin
        // the credential
        case credential, keyPrefix = "key_prefix", apiKey = "api_key", certificate, service, tokenSize = "token_size",
            tokenShape = "token_shape", header, algorithm, type, extensions, key
        case signature, claims, issuer, audience, expiry, notBefore = "not_before", lifetime
        case requiredClaims = "required_claims", binding, identity, provider, revocation
        // what it allows
        case requirement, method, body, upgrade, action
    }

    package enum Result: String, Sendable {
        case passed = "ok"
        case failed = "fail"
        case notReached = "not_reached"
        /// What it depends on is known at run time only.
        case notChecked = "not_checked"
    }

    /// A directive, where it stands; several when several of them say it.
    package struct Demand: Sendable {
        package let directive: String
        package let position: SourcePosition

        package init(_ directive: String, _ position: SourcePosition) {
            self.directive = directive
            self.position = position
        }
    }

    package struct Step: Sendable {
        package let check: Check
        package var result = Result.passed
        /// Empty: nobody said it, it is the default or how HTTP is.
        package var demands: [Demand]
        package var expected: String?
        package var got: String?

        package init(_ check: Check, _ demands: [Demand] = [], expected: String? = nil, got: String? = nil) {
            self.check = check
            self.demands = demands
            self.expected = expected
            self.got = got
        }
    }

    package enum Verdict: Sendable {
        case forwarded
        /// `return` answers.
        case answered
        case refused(LocalResponse)
        /// What the provider's service says at run time.
        case depends(provider: String)
    }

    /// As it was asked: method, target and host.
    package var method = ""
    package var target = ""
    package var host = ""
    /// Wall-clock seconds that the times of a token were compared with.
    package var now: Int64
    /// The same as a date.
    package var clock = ""
    package var route = ""
    package var steps: [Step] = []
    package var verdict = Verdict.forwarded
    /// `auth_mode report`: what it would be refused with; it goes on as nobody's.
    package var wouldRefuse: LocalResponse?
    /// The gateway's own answer, as it goes to the client; empty when an upstream answers.
    package var response = ""
    /// The head that goes to the upstream, and who may get it; empty when it is not forwarded.
    package var forwarded = ""
    package var upstream = ""
    package var endpoints: [String] = []
    /// What would make it pass, in sentences.
    package var advice: [String] = []

    package init(now: Int64) { self.now = now }

    package var refusal: LocalResponse? { if case .refused(let refusal) = verdict { refusal } else { nil } }
    package var failed: Step? { steps.first { $0.result == .failed } }
}

extension Explanation {
    /// Appends steps of which the one for `check` failed, or all passed: those behind it were not reached, and what they would
    /// have compared is told to nobody.
    package mutating func append(_ new: [Step], failing check: Check?) {
        var isReached = true
        for var step in new {
            if !isReached {
                step.result = .notReached
                step.got = nil
            } else if step.check == check {
                step.result = .failed
                isReached = false
            }
            steps.append(step)
        }
    }
}

extension Explanation.Check {
    /// The check that a refusal comes from. Of those that several checks give, `token` tells which it was.
    package init(failedWith response: LocalResponse, _ token: UnpackedToken?) {
        self =
            switch response {
            case .tokenMissing, .invalidRequest, .apiKeyMissing: .credential
            case .apiKeyInvalid, .apiKeyRevoked: .apiKey
            case .certificateMissing, .certificateInvalid: .certificate
            case .tokenInactive, .authServiceRefused, .introspectionUnavailable, .authServiceUnavailable: .service
            case .bindingMismatch: .binding
            case .tokenTooLarge: .tokenSize
            case .tokenEncryptedUnsupported: .tokenShape
            case .tokenMalformed, .duplicateClaim:
                switch token?.fault {
                case .header: .header
                case .claims: .claims
                case .shape, nil: .tokenShape
                }
            case .unsupportedHeader, .unsupportedCrit: .extensions
            case .algNotAllowed: .algorithm
            case .typNotAllowed: .type
            case .algKeyMismatch, .keyUnknown, .keysUnavailable: .key
            case .signatureMissing, .signatureInvalid: .signature
            case .issuerMismatch: .issuer
            case .audienceMismatch: .audience
            case .providerMismatch: .provider
            case .tokenRevoked, .revocationStale: .revocation
            case .tokenExpired: .expiry
            case .tokenNotYetValid: .notBefore
            case .lifetimeExceeded: .lifetime
            case .claimMissing: token?.claim("exp") == nil ? .expiry : .requiredClaims
            case .claimType: Self.badType(token)
            case .insufficientScope, .policyViolation, .accessDenied: .requirement
            case .pathInvalid: .path
            case .pathAmbiguous: .pathGuard
            case .originDenied: .origin
            case .notFound: .action
            case .methodNotAllowed: .method
            case .bodyTooLarge: .body
            case .upgradeInvalid, .upgradeVersion, .upgradeUnsupported: .upgrade
            case .requestLine, .versionUnsupported, .methodUnsupported, .uriTooLong, .targetInvalid, .hostInvalid,
                .headerInvalid, .headerTooLarge, .contentLength, .transferEncoding, .transferEncodingUnsupported,
                .clAndTE, .chunkInvalid, .expectationFailed, .messageInvalid, .requestTimeout:
                .message
            case .upstreamUnavailable, .upstreamUntrusted, .upstreamHandshake, .upstreamInvalid, .upstreamClosed,
                .upstreamTimeout, .noLiveUpstream,
                .overloaded, .internalError, .misdirected:
                .action
            }
    }

    private static func badType(_ token: UnpackedToken?) -> Self {
        func isBad(_ name: String) -> Bool { token?.claim(name).map { $0.seconds == nil } ?? false }
        if isBad("exp") { return .expiry }
        if isBad("nbf") || isBad("iat") { return .notBefore }
        if let subject = token?.claim("sub"), !subject.isString { return .requiredClaims }
        return .identity
    }
}
