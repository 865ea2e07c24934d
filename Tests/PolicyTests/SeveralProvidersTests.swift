// Locations that ask several providers, and requests that have to wait before they can be judged.
import Bytes
import Configuration
import HTTP
import JOSE
import Policy
import Testing
import TokenSigning

@Suite struct SeveralProvidersTests {
    private static let a = provider("a", issuer: "https://a.example", keys: [.rsa])
    private static let b = provider("b", issuer: "https://b.example", keys: [.ec])
    private static let c = provider("c", issuer: "https://c.example", keys: [.edwards])
    private static let ofA = TokenSigner.rsa.token(claims(["iss": "\"https://a.example\""]))
    private static let ofB = TokenSigner.ec.token(claims(["iss": "\"https://b.example\""]))
    private static let ofC = TokenSigner.edwards.token(claims(["iss": "\"https://c.example\""]))

    private func access(_ mode: Access.Mode, _ providers: [Int]) -> Access {
        var access = Access()
        access.mode = mode
        access.providers = providers
        return access
    }
    private func name(_ verdict: AuthenticationVerdict, _ authenticator: inout Authenticator) -> String {
        switch verdict {
        case .authenticated(let principal):
            defer { authenticator.release(principal) }
            return written(authenticator, principal)[2]
        case .authenticatedByAll(let set):
            defer { for i in 0..<Int(set.count) { authenticator.release(set[i]) } }
            return (0..<Int(set.count)).map { written(authenticator, set[$0])[2] }.joined(separator: "+")
        case .refused(let response): return "\(response)"
        case .later: return "later"
        case .awaitKeys: return "awaitKeys"
        case .lookup, .nameCertificate: return "lookup"
        }
    }

    @Test func anyTakesTheOneWhoseIssuerItIs() {
        var authenticator = Authenticator([Self.a, Self.b, Self.c], workers: 1)
        let either = access(.any, [0, 1])
        for _ in 0..<3 {
            #expect(name(verdict(&authenticator, request(Self.ofA), either), &authenticator) == "a")
            #expect(name(verdict(&authenticator, request(Self.ofB), either), &authenticator) == "b")
            #expect(name(verdict(&authenticator, request(Self.ofC), either), &authenticator) == "providerMismatch")
        }
        #expect(authenticator.counters.hits == 4)
        let forged = TokenSigner.rsa.token(claims(["iss": "\"https://b.example\""]))
        #expect(name(verdict(&authenticator, request(forged), either), &authenticator) == "keyUnknown")
    }

    @Test func anyFallsBackToTheOneThatTakesEveryIssuer() {
        let open = provider("open", issuer: nil, keys: [.edwards])
        var authenticator = Authenticator([Self.a, open], workers: 1)
        let either = access(.any, [0, 1])
        #expect(name(verdict(&authenticator, request(Self.ofC), either), &authenticator) == "open")
        #expect(name(verdict(&authenticator, request(Self.ofA), either), &authenticator) == "a")
    }

    @Test func allNeedsEveryOne() {
        var strict = Self.a
        strict.name = "strict"
        strict.requiredClaims = ["sub", "exp", "sid"]
        var authenticator = Authenticator([Self.a, strict, Self.b], workers: 1)
        let both = access(.all, [0, 1])
        #expect(name(verdict(&authenticator, request(Self.ofA), both), &authenticator) == "claimMissing")
        let whole = TokenSigner.rsa.token(claims(["iss": "\"https://a.example\"", "sid": "\"s\""]))
        #expect(name(verdict(&authenticator, request(whole), both), &authenticator) == "a+strict")
        #expect(name(verdict(&authenticator, request(whole), both), &authenticator) == "a+strict")
        #expect(
            name(verdict(&authenticator, request(whole), access(.all, [0, 2])), &authenticator) == "providerMismatch")
        // What was held for those who were not let in was given back: a reload frees the provider.
        authenticator.update([])
        #expect(authenticator.counters.entries == 0)
    }

    /// R05: eight signatures in a turn, cached tokens as many as there are.
    @Test func budgetOfATurn() {
        var authenticator = Authenticator([Self.a], workers: 1)
        let one = access(.any, [0])
        let tokens = (0..<12).map { TokenSigner.rsa.token(claims(["iss": "\"https://a.example\"", "n": "\($0)"])) }
        authenticator.beginVerifying()
        let first = tokens.map {
            name(verdict(&authenticator, request($0), one, beginsTurn: false), &authenticator)
        }
        #expect(first == Array(repeating: "a", count: 8) + Array(repeating: "later", count: 4))
        #expect(name(verdict(&authenticator, request(tokens[0]), one, beginsTurn: false), &authenticator) == "a")
        authenticator.beginVerifying()
        #expect(name(verdict(&authenticator, request(tokens[8]), one, beginsTurn: false), &authenticator) == "a")
        #expect(authenticator.counters.verifications == 9)
    }

    @Test func waitsForKeysOnce() throws {
        var fetching = Self.a
        fetching.localKeys = JSONWebKeySet()
        fetch(&fetching)
        var authenticator = Authenticator([fetching], workers: 1)
        let one = access(.any, [0])
        func ask(isFinal: Bool) -> String {
            name(verdict(&authenticator, request(Self.ofA), one, isFinal: isFinal), &authenticator)
        }
        #expect(ask(isFinal: false) == "awaitKeys")
        #expect(ask(isFinal: true) == "keysUnavailable")
        authenticator.install(TokenSigner.ec.keySet, provider: "a")
        #expect(ask(isFinal: false) == "awaitKeys")
        #expect(ask(isFinal: true) == "keyUnknown")
        // A key of that name has just been looked for.
        #expect(ask(isFinal: false) == "keyUnknown")
        // No fetch will be made for now.
        authenticator.keysUnchanged(provider: "a", noFetchBefore: Instant(nanoseconds: 2_000_000_000))
        #expect(ask(isFinal: false) == "keyUnknown")
        authenticator.install(TokenSigner.rsa.keySet, provider: "a")
        #expect(ask(isFinal: false) == "a")
        fetching.unknownKeys = .reject
        authenticator.update([fetching])
        authenticator.install(TokenSigner.ec.keySet, provider: "a")
        #expect(ask(isFinal: false) == "keyUnknown")
    }
}

@Suite struct KeptClaimsTests {
    private static let payload = claims([
        "scope": #""read write""#, "scp": #"["admin"]"#, "roles": #""site admin""#,
        "realm_access": #"{"roles":["user","a,b"]}"#, "tenant": #""acme""#, "level": "5", "vip": "true",
        "groups": #"["x","y z"]"#, "nested": #"{"deep":{"er":"found"}}"#, "nothing": "null", "object": "{}",
        "https://example.com/plan": #""pro""#,
    ])

    private func kept(_ change: (inout KeptClaims) -> Void) -> AuthProvider {
        provider {
            var kept = KeptClaims()
            change(&kept)
            $0.kept = kept
        }
    }

    @Test func listsAndClaims() throws {
        let paths = [
            ["tenant"], ["level"], ["vip"], ["groups"], ["nested", "deep", "er"], ["nothing"], ["object"], ["missing"],
            ["https://example.com/plan"], ["tenant", "deep"],
        ]
        var authenticator = Authenticator(
            [
                kept {
                    $0.scopes = true
                    $0.roles = true
                    $0.paths = paths.map { ClaimPath($0) }
                }
            ], workers: 1)
        let token = TokenSigner.rsa.token(Self.payload)
        for _ in 0..<2 {
            let found = try principal(&authenticator, token)
            defer { authenticator.release(found) }
            let scopes = ["read", "write", "admin"].map { authenticator.has(found, Array($0.utf8).span, in: .scopes) }
            #expect(scopes == [true, true, true])
            let hasHalf = authenticator.has(found, Array("rea".utf8).span, in: .scopes)
            #expect(!hasHalf)
            let roles = ["site%20admin", "user", "a%2Cb", "site", "a", "b"].map {
                authenticator.has(found, Array($0.utf8).span, in: .roles)
            }
            #expect(roles == [true, true, true, false, false, false])
            let shapes = paths.indices.map { authenticator.shape(found, ofClaim: $0) }
            #expect(
                shapes == [.text, .number, .flag, .list, .text, .absent, .other, .absent, .text, .absent])
            let values = paths.indices.map { index in
                var out = ByteBuffer(capacity: 64)
                authenticator.writeClaim(index, of: found, to: &out)
                return String(decoding: (0..<out.count).map { out.bytes[$0] }, as: UTF8.self)
            }
            #expect(values == ["acme", "5", "true", "x,y%20z", "found", "", "", "", "pro", ""])
            let answers = [
                authenticator.claim(0, of: found, equals: Array("acme".utf8).span),
                authenticator.claim(0, of: found, equals: Array("acm".utf8).span),
                authenticator.claim(3, of: found, contains: Array("y%20z".utf8).span),
                authenticator.claim(0, of: found, contains: Array("acme".utf8).span),
            ]
            #expect(answers == [true, false, true, false])
            #expect(written(authenticator, found) == ["alice", "read:data,write:data", "main"])
        }
    }

    /// Long identities lie in memory of their own, with the fields behind them.
    @Test func behindALongIdentity() throws {
        var authenticator = Authenticator([kept { $0.paths = [ClaimPath(["tenant"])] }], workers: 1)
        let long = String(repeating: "s", count: 500)
        let token = TokenSigner.rsa.token(claims(["sub": "\"\(long)\"", "tenant": "\"acme\""]))
        for _ in 0..<2 {
            let found = try principal(&authenticator, token)
            #expect(written(authenticator, found)[0] == long)
            let isAcme = authenticator.claim(0, of: found, equals: Array("acme".utf8).span)
            #expect(isAcme)
            authenticator.release(found)
        }
        #expect(authenticator.counters.bytes > 500)
    }

    @Test func otherNames() throws {
        var authenticator = Authenticator(
            [
                provider {
                    $0.claims.subject = [ClaimPath(["oid"]), ClaimPath(["sub"])]
                    $0.claims.permissions = [ClaimPath(["realm_access", "roles"]), ClaimPath(["scope"])]
                }
            ], workers: 1)
        let found = try principal(&authenticator, TokenSigner.rsa.token(Self.payload))
        #expect(written(authenticator, found) == ["alice", "user,a%2Cb,read,write", "main"])
        authenticator.release(found)
        let other = try principal(&authenticator, TokenSigner.rsa.token(claims(["oid": "\"o-1\""])))
        #expect(written(authenticator, other) == ["o-1", "", "main"])
        authenticator.release(other)
    }
}
