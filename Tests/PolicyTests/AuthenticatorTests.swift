// Who is let in by which provider, what is told to the others, and what changes when keys and configurations do.
import Configuration
import JOSE
import Policy
import Testing
import TokenSigning

@Suite struct AuthenticatorTests {
    @Test(arguments: [TokenSigner.rsa, .ec, .edwards]) func letsIn(_ signer: TokenSigner) throws {
        var authenticator = Authenticator([provider(keys: [.rsa, .ec, .edwards])], workers: 2)
        let token = signer.token(claims())
        for _ in 0..<3 {
            let found = try principal(&authenticator, token)
            #expect(written(authenticator, found) == ["alice", "read:data,write:data", "main"])
            authenticator.release(found)
        }
        let counters = authenticator.counters
        #expect(counters.hits == 2 && counters.misses == 1 && counters.verifications == 1 && counters.entries == 1)
    }

    /// Each refusal of the verifier has its answer, cached or not.
    @Test func tellsWhy() {
        var authenticator = Authenticator([provider()], workers: 1)
        let signer = TokenSigner.rsa
        for _ in 0..<2 {
            #expect(answer(&authenticator, String(repeating: "a", count: 8193)) == .tokenTooLarge)
            #expect(answer(&authenticator, "a.b") == .tokenMalformed)
            #expect(answer(&authenticator, "a.b.c.d.e") == .tokenEncryptedUnsupported)
            #expect(answer(&authenticator, signer.token(header: #"{"alg":"none"}"#, claims())) == .algNotAllowed)
            #expect(answer(&authenticator, TokenSigner.otherRSA.token(claims())) == .keyUnknown)
            #expect(
                answer(&authenticator, TokenSigner.otherRSA.token(header: #"{"alg":"RS256"}"#, claims()))
                    == .signatureInvalid)
            #expect(answer(&authenticator, signer.token(claims(["exp": "\(tokenTime - 31)"]))) == .tokenExpired)
            #expect(
                answer(&authenticator, signer.token(claims(["iss": "\"https://other.example\""]))) == .issuerMismatch)
            #expect(answer(&authenticator, signer.token(claims(["aud": "\"other\""]))) == .audienceMismatch)
            #expect(answer(&authenticator, signer.token(claims(["sub": nil]))) == .claimMissing)
        }
        #expect(authenticator.counters.entries == 0, "nothing that was refused is kept")
    }

    @Test func everyRefusalHasItsOwnAnswer() {
        let answers = Set(TokenRefusal.allCases.map { LocalResponse($0) })
        #expect(answers.count == TokenRefusal.allCases.count)
    }

    /// J63
    @Test func anotherProvidersToken() {
        let a = provider("a", issuer: "https://a.example", keys: [.rsa])
        let b = provider("b", issuer: "https://b.example", keys: [.ec])
        var authenticator = Authenticator([a, b], workers: 1)
        let ofA = TokenSigner.rsa.token(claims(["iss": "\"https://a.example\""]))
        let ofB = TokenSigner.ec.token(claims(["iss": "\"https://b.example\""]))
        // Neither seen before, then both cached.
        for _ in 0..<3 {
            #expect(answer(&authenticator, ofA, provider: 1) == .providerMismatch)
            #expect(answer(&authenticator, ofB, provider: 0) == .providerMismatch)
            #expect(answer(&authenticator, ofA, provider: 0) == nil)
            #expect(answer(&authenticator, ofB, provider: 1) == nil)
        }
        #expect(authenticator.counters.verifications == 2)
        // Whoever only says that a token is A's is told what A's keys say.
        let forged = TokenSigner.ec.token(claims(["iss": "\"https://a.example\""]))
        #expect(answer(&authenticator, forged, provider: 1) == .keyUnknown)
        let unknown = TokenSigner.ec.token(claims(["iss": "\"https://c.example\""]))
        #expect(answer(&authenticator, unknown, provider: 1) == .issuerMismatch)
        #expect(answer(&authenticator, unknown, provider: 0) == .keyUnknown)
    }

    /// Two providers of one issuer that ask for different audiences: the route's own one judges.
    @Test func sameIssuerTwice() {
        let a = provider("a"), b = provider("b") { $0.audience = ["other"] }
        var authenticator = Authenticator([a, b], workers: 1)
        let token = TokenSigner.rsa.token(claims())
        #expect(answer(&authenticator, token, provider: 0) == nil)
        #expect(answer(&authenticator, token, provider: 1) == .audienceMismatch)
        #expect(answer(&authenticator, token, provider: 0) == nil)
    }

    @Test func issuerOff() {
        let a = provider("a", issuer: "https://a.example"), any = provider("any", issuer: nil)
        var authenticator = Authenticator([a, any], workers: 1)
        let token = TokenSigner.rsa.token(claims(["iss": "\"https://a.example\""]))
        #expect(answer(&authenticator, token, provider: 1) == nil)
        #expect(answer(&authenticator, TokenSigner.rsa.token(claims(["iss": nil])), provider: 1) == nil)
    }

    /// J66
    @Test func withdrawnKey() throws {
        let source = provider(keys: []) { fetch(&$0) }
        var authenticator = Authenticator([source], workers: 1)
        let old = TokenSigner.rsa.token(claims()), new = TokenSigner.ec.token(claims())
        authenticator.install(
            JSONWebKeySet(keys: TokenSigner.rsa.keySet.keys + TokenSigner.ec.keySet.keys), provider: "main")
        #expect(answer(&authenticator, old) == nil && answer(&authenticator, new) == nil)
        #expect(authenticator.counters.verifications == 2)
        // The same keys again: nothing is asked anew.
        authenticator.install(
            JSONWebKeySet(keys: TokenSigner.ec.keySet.keys + TokenSigner.rsa.keySet.keys), provider: "main")
        #expect(answer(&authenticator, old) == nil && answer(&authenticator, new) == nil)
        #expect(authenticator.counters.verifications == 2)
        let held = try principal(&authenticator, old)
        authenticator.install(TokenSigner.ec.keySet, provider: "main")
        #expect(answer(&authenticator, old) == .keyUnknown)
        #expect(answer(&authenticator, new) == nil)
        #expect(authenticator.counters.verifications == 3)
        #expect(authenticator.counters.entries == 1)
        // A request that was let in before is still logged with its subject.
        #expect(written(authenticator, held)[0] == "alice")
        authenticator.release(held)
        #expect(written(authenticator, held)[0] == "")
    }

    /// J67
    @Test func keysNotAvailable() {
        var authenticator = Authenticator([provider(keys: []) { fetch(&$0) }], workers: 1)
        let token = TokenSigner.rsa.token(claims())
        #expect(answer(&authenticator, token) == .keysUnavailable)
        #expect(answer(&authenticator, "a.b") == .tokenMalformed)
        authenticator.install(TokenSigner.rsa.keySet, provider: "other")
        #expect(answer(&authenticator, token) == .keysUnavailable)
        authenticator.install(TokenSigner.rsa.keySet, provider: "main")
        #expect(answer(&authenticator, token) == nil)
        authenticator.install(nil, provider: "main")
        #expect(answer(&authenticator, token) == .keysUnavailable, "too old to be believed, cached or not")
        authenticator.install(JSONWebKeySet(), provider: "main")
        #expect(answer(&authenticator, token) == .keyUnknown)
    }

    /// J50, J65, J68
    @Test func cachedTokenReachesItsEnd() {
        var authenticator = Authenticator([provider { $0.leeway = .zero }], workers: 1)
        let token = TokenSigner.rsa.token(claims(["iat": nil, "nbf": "\(tokenTime)"]))
        #expect(answer(&authenticator, token) == nil)
        #expect(answer(&authenticator, token, at: tokenTime + 599) == nil)
        #expect(answer(&authenticator, token, at: tokenTime + 600) == .tokenExpired)
        #expect(authenticator.counters.entries == 0)
        // The clock is set back: the token is good again, and before its time it is not.
        #expect(answer(&authenticator, token, at: tokenTime) == nil)
        #expect(answer(&authenticator, token, at: tokenTime - 1) == .tokenNotYetValid)
    }

    @Test func leewayHoldsForCachedTokensToo() {
        var authenticator = Authenticator([provider()], workers: 1)
        let token = TokenSigner.rsa.token(claims())
        for _ in 0..<2 { #expect(answer(&authenticator, token, at: tokenTime + 629) == nil) }
        for _ in 0..<2 { #expect(answer(&authenticator, token, at: tokenTime + 630) == .tokenExpired) }
    }

    @Test func timeToLive() {
        var authenticator = Authenticator([provider { $0.cacheTTL = .seconds(60) }], workers: 1)
        let token = TokenSigner.rsa.token(claims())
        for time in [0, 59, 60, 119] { #expect(answer(&authenticator, token, at: tokenTime + Int64(time)) == nil) }
        #expect(authenticator.counters.verifications == 2)
    }

    @Test func reload() throws {
        var authenticator = Authenticator([provider("a"), provider("b", keys: [.ec])], workers: 1)
        let ofA = TokenSigner.rsa.token(claims()), ofB = TokenSigner.ec.token(claims())
        #expect(answer(&authenticator, ofA, provider: 0) == nil && answer(&authenticator, ofB, provider: 1) == nil)
        let heldA = try principal(&authenticator, ofA, provider: 0)
        let heldB = try principal(&authenticator, ofB, provider: 1)
        // B moves to the front unchanged, A now asks for another audience.
        authenticator.update([provider("b", keys: [.ec]), provider("a") { $0.audience = ["other"] }])
        #expect(written(authenticator, heldA) == ["alice", "read:data,write:data", "a"])
        #expect(written(authenticator, heldB)[2] == "b")
        let before = authenticator.counters.verifications
        #expect(answer(&authenticator, ofB, provider: 0) == nil)
        #expect(authenticator.counters.verifications == before, "B's verdicts survived")
        #expect(answer(&authenticator, ofA, provider: 1) == .audienceMismatch)
        authenticator.release(heldA)
        #expect(written(authenticator, heldA) == ["", "", ""])
        // B goes altogether while one of its principals is held.
        authenticator.update([])
        #expect(written(authenticator, heldB)[0] == "alice")
        authenticator.release(heldB)
        authenticator.release(heldB)
        #expect(written(authenticator, heldB) == ["", "", ""])
    }

    @Test func reloadKeepsFetchedKeys() {
        let source = provider(keys: []) { fetch(&$0) }
        var authenticator = Authenticator([source], workers: 1)
        authenticator.install(TokenSigner.rsa.keySet, provider: "main")
        authenticator.update([
            provider(keys: []) {
                fetch(&$0); $0.leeway = .seconds(5)
            }
        ])
        #expect(answer(&authenticator, TokenSigner.rsa.token(claims())) == nil)
        // New local keys reach a provider that stays as it is.
        authenticator.update([
            provider(keys: [.ec]) {
                fetch(&$0); $0.leeway = .seconds(5)
            }
        ])
        #expect(answer(&authenticator, TokenSigner.ec.token(claims())) == nil)
        #expect(answer(&authenticator, TokenSigner.rsa.token(claims())) == nil)
    }

    /// A09
    @Test(arguments: [
        (#""a\r\nX-Admin: 1""#, "a%0D%0AX-Admin: 1"), (#""é""#, "%C3%A9"), (#""100%""#, "100%25"),
        (#"" a b ""#, "%20a b%20"),
        (#""a%20""#, "a%2520"), (#""\u0000\u007f""#, "%00%7F"), (#""a,b""#, "a,b"), (#""\u0061""#, "a"),
        (#"" ""#, "%20"),
    ])
    func a09Subject(_ value: String, _ expected: String) throws {
        var authenticator = Authenticator([provider()], workers: 1)
        let found = try principal(&authenticator, TokenSigner.rsa.token(claims(["sub": value])))
        #expect(written(authenticator, found)[0] == expected)
    }

    @Test(arguments: [
        (#"["a b","c,d","e%"]"#, "a%20b,c%2Cd,e%25"), (#"[]"#, ""),
        (#""read:data  write:data ""#, "read:data,write:data"), ("7", ""),
        (#"{"a":1}"#, ""), (#"["a",1]"#, ""), (#"["a",["b"]]"#, ""), ("null", ""), (#""""#, ""), (#"["\u0061"]"#, "a"),
    ])
    func a09Permissions(_ value: String, _ expected: String) throws {
        var authenticator = Authenticator([provider()], workers: 1)
        let found = try principal(&authenticator, TokenSigner.rsa.token(claims(["permissions": value])))
        #expect(written(authenticator, found)[1] == expected)
    }

    @Test func a09LongClaims() throws {
        let long = String(repeating: "x", count: 2049)
        var authenticator = Authenticator([provider()], workers: 1)
        #expect(answer(&authenticator, TokenSigner.rsa.token(claims(["sub": "\"\(long)\""]))) == .claimType)
        #expect(answer(&authenticator, TokenSigner.rsa.token(claims(["sub": "\"\(long.dropLast())\""]))) == nil)
        var lenient = Authenticator([provider { $0.requiredClaims = ["exp"] }], workers: 1)
        let token = TokenSigner.rsa.token(claims(["sub": "\"\(long)\"", "permissions": "[\"\(long)\",\"read:data\"]"]))
        let found = try principal(&lenient, token)
        #expect(written(lenient, found) == ["", "", "main"])
        // Too long to be written is not too long to be compared.
        let permitted = lenient.has(found, Array("read:data".utf8).span, in: .permissions)
        #expect(permitted)
        lenient.release(found)
    }
}
