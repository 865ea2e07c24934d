// Refused tokens are remembered for what they are, and only as long as nothing could have made them good.
import Configuration
import JOSE
import Policy
import Testing
import TokenSigning

@Suite struct RefusedTokenTests {
    /// Signatures that the same token costs when it comes twice.
    private func verifications(
        _ authenticator: inout Authenticator, _ token: String, _ expected: LocalResponse, times: Int = 2
    ) -> UInt64 {
        let before = authenticator.counters.verifications
        for _ in 0..<times { #expect(answer(&authenticator, token) == expected) }
        return authenticator.counters.verifications - before
    }

    @Test func sameAnswerWithoutASignature() {
        var authenticator = Authenticator([provider()], workers: 1)
        let forged = TokenSigner.otherRSA.token(header: #"{"alg":"RS256"}"#, claims())
        #expect(verifications(&authenticator, forged, .signatureInvalid, times: 5) == 1)
        let signer = TokenSigner.rsa
        let others: [(String, LocalResponse)] = [
            (signer.token(claims(["exp": "\(tokenTime - 31)"])), .tokenExpired),
            (signer.token(claims(["iss": "\"https://other.example\""])), .issuerMismatch),
            (signer.token(claims(["aud": "\"other\""])), .audienceMismatch),
        ]
        for (token, response) in others { #expect(verifications(&authenticator, token, response) == 1) }
        for (token, response) in [("a.b", LocalResponse.tokenMalformed), ("a.b.c, d", .invalidRequest)] {
            #expect(verifications(&authenticator, token, response) == 0)
        }
        let counters = authenticator.counters
        #expect(counters.negativeHits == 4 + 3 + 2 && counters.misses == 1 + 3 + 2)
        #expect(counters.entries == 0 && counters.hits == 0)
    }

    /// What a missing key, the time or a claim's absence decides is judged anew.
    @Test func notWhatMayChange() {
        var authenticator = Authenticator([provider()], workers: 1)
        let signer = TokenSigner.rsa
        let tokens: [(String, LocalResponse)] = [
            (TokenSigner.otherRSA.token(claims()), .keyUnknown),
            (signer.token(claims(["nbf": "\(tokenTime + 100)"])), .tokenNotYetValid),
            (signer.token(claims(["sub": nil])), .claimMissing),
            (signer.token(claims(["exp": "\(tokenTime + 100_000)"])), .lifetimeExceeded),
        ]
        for (token, response) in tokens { #expect(verifications(&authenticator, token, response) == 2) }
        #expect(authenticator.counters.negativeHits == 0)
        var keyless = Authenticator([provider(keys: []) { fetch(&$0) }], workers: 1)
        for _ in 0..<2 { #expect(answer(&keyless, signer.token(claims())) == .keysUnavailable) }
        #expect(keyless.counters.negativeHits == 0)
        keyless.install(signer.keySet, provider: "main")
        #expect(answer(&keyless, signer.token(claims())) == nil)
    }

    @Test func forSomeSeconds() {
        var authenticator = Authenticator([provider { $0.negativeTTL = .seconds(3) }], workers: 1)
        let forged = TokenSigner.otherRSA.token(header: #"{"alg":"RS256"}"#, claims())
        for time in [0, 1, 2, 3, 5] {
            #expect(answer(&authenticator, forged, at: tokenTime + Int64(time)) == .signatureInvalid)
        }
        #expect(authenticator.counters.verifications == 2 && authenticator.counters.negativeHits == 3)
    }

    /// J68: what has expired has not when the clock is set back.
    @Test func clockIsSetBack() {
        var authenticator = Authenticator([provider { $0.leeway = .zero }], workers: 1)
        let token = TokenSigner.rsa.token(claims())
        for _ in 0..<2 { #expect(answer(&authenticator, token, at: tokenTime + 600) == .tokenExpired) }
        #expect(answer(&authenticator, token, at: tokenTime + 599) == nil)
        #expect(answer(&authenticator, token, at: tokenTime + 600) == .tokenExpired)
    }

    @Test(arguments: [true, false]) func off(_ isCacheOff: Bool) {
        let configuration = provider {
            if isCacheOff { $0.cacheEntries = 0 } else { $0.negativeTTL = .zero }
        }
        var authenticator = Authenticator([configuration], workers: 1)
        let forged = TokenSigner.otherRSA.token(header: #"{"alg":"RS256"}"#, claims())
        #expect(verifications(&authenticator, forged, .signatureInvalid) == 2)
        #expect(authenticator.counters.negativeHits == 0)
    }

    /// A new key may be the one that made the signature, new rules may allow what was refused.
    @Test func newKeysAndRules() {
        let source = provider(keys: []) { fetch(&$0) }
        var authenticator = Authenticator([source], workers: 1)
        authenticator.install(TokenSigner.rsa.keySet, provider: "main")
        let unnamed = TokenSigner.otherRSA.token(header: #"{"alg":"RS256"}"#, claims())
        for _ in 0..<2 { #expect(answer(&authenticator, unnamed) == .signatureInvalid) }
        authenticator.install(
            JSONWebKeySet(keys: TokenSigner.rsa.keySet.keys + TokenSigner.otherRSA.keySet.keys), provider: "main")
        #expect(answer(&authenticator, unnamed) == nil)
        var local = Authenticator([provider(keys: [.rsa])], workers: 1)
        for _ in 0..<2 { #expect(answer(&local, unnamed) == .signatureInvalid) }
        local.install(local: TokenSigner.otherRSA.keySet, secret: nil, provider: "main")
        #expect(answer(&local, unnamed) == nil)
        local.install(local: TokenSigner.rsa.keySet, secret: nil, provider: "main")
        #expect(answer(&local, unnamed) == .signatureInvalid, "a withdrawn key takes its tokens with it")

        let forOthers = TokenSigner.rsa.token(claims(["aud": "\"other\""]))
        for _ in 0..<2 { #expect(answer(&authenticator, forOthers) == .audienceMismatch) }
        authenticator.update([
            provider(keys: []) {
                fetch(&$0); $0.audience = ["other"]
            }
        ])
        #expect(answer(&authenticator, forOthers) == nil)
    }

    /// Two providers that judge the same token differently.
    @Test func eachProviderForItself() {
        let a = provider("a"), b = provider("b") { $0.audience = ["other"] }
        var authenticator = Authenticator([a, b], workers: 1)
        let token = TokenSigner.rsa.token(claims(["aud": "\"other\""]))
        for _ in 0..<3 {
            #expect(answer(&authenticator, token, provider: 0) == .audienceMismatch)
            #expect(answer(&authenticator, token, provider: 1) == nil)
        }
    }

    /// The same provider asked alone and beside one that takes every issuer.
    @Test func eachPlanForItself() {
        let a = provider("a"), open = provider("open", issuer: nil)
        var authenticator = Authenticator([open, a], workers: 1)
        var alone = Access(), beside = Access()
        alone.providers = [1]
        beside.providers = [0, 1]
        beside.mode = .any
        let token = request(TokenSigner.rsa.token(claims(["iss": "\"https://other.example\""])))
        for _ in 0..<3 {
            guard case .refused(.issuerMismatch) = verdict(&authenticator, token, alone) else {
                Issue.record("not refused")
                return
            }
            guard case .authenticated(let principal) = verdict(&authenticator, token, beside) else {
                Issue.record("not let in")
                return
            }
            authenticator.release(principal)
        }
        #expect(authenticator.counters.negativeHits == 2)
    }

    /// More bad tokens than are remembered: each gets its own answer, and no good one is forgotten.
    @Test func aFloodOfThem() {
        var authenticator = Authenticator([provider { $0.cacheEntries = 10 }], workers: 1)
        let good = (0..<10).map { TokenSigner.rsa.token(claims(["sub": "\"user-\($0)\""])) }
        for token in good { #expect(answer(&authenticator, token) == nil) }
        for i in 0..<10_000 {
            #expect(answer(&authenticator, "a.b\(i)") == .tokenMalformed)
            if i % 100 == 0 { #expect(answer(&authenticator, "a.b\(i)") == .tokenMalformed) }
        }
        for token in good { #expect(answer(&authenticator, token) == nil) }
        let counters = authenticator.counters
        #expect(counters.negativeHits == 100, "a moment ago is remembered in any case")
        #expect(counters.verifications == 10 && counters.evictions == 0 && counters.entries == 10)
    }
}
