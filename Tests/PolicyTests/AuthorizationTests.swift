// Rows J60, J61 and J64: a permission is one word, asked for by each location anew.
import Configuration
import Policy
import Testing
import TokenSigning

@Suite struct AuthorizationTests {
    private func access(_ permissions: String...) -> Access {
        var access = Access()
        access.providers = [0]
        access.requirements = permissions.map { .permission($0) }
        return access
    }

    private func evaluate(_ claim: String?, _ accesses: [Access]) throws -> [Authorization.Verdict] {
        var authenticator = Authenticator([provider()], workers: 1)
        let found = try principal(&authenticator, TokenSigner.rsa.token(claims(["permissions": claim])))
        var authorization = Authorization(accesses)
        var verdicts: [Authorization.Verdict] = []
        for i in accesses.indices { verdicts.append(judge(&authorization, i, PrincipalSet(found), authenticator)) }
        authenticator.release(found)
        return verdicts
    }

    @Test func allOfThem() throws {
        let accesses = [
            access(), access("read:data"), access("read:data", "write:data"), access("admin", "read:data"),
            access("read:data", "admin"),
        ]
        #expect(
            try evaluate(#"["read:data","write:data"]"#, accesses)
                == [.allowed, .allowed, .allowed, .denied(0), .denied(1)])
        #expect(try evaluate(#""write:data read:data""#, accesses).prefix(3) == [.allowed, .allowed, .allowed])
    }

    @Test(arguments: [
        "7", "null", "true", #"{"read:data":true}"#, #"["read:data",1]"#, #"[["read:data"]]"#, #"["read:database"]"#,
        #"["unread:data"]"#,
        #"["read:dat"]"#, #"["READ:DATA"]"#, #"["read:data,x"]"#, #"["x read:data"]"#, #"["read:data "]"#,
        #"["read%3Adata"]"#, "[]",
        #"["read:*"]"#, #""read:data,write:data""#, #""""#,
    ])
    func j60WholeWords(_ claim: String) throws { #expect(try evaluate(claim, [access("read:data")]) == [.denied(0)]) }

    @Test func j61Missing() throws {
        #expect(try evaluate(nil, [access("read:data")]) == [.denied(0)])
        var authorization = Authorization([access("read:data"), access("a", "b"), access()])
        let authenticator = Authenticator([provider()], workers: 1)
        let scopes = (0..<2).map { missing(&authorization, $0, demand: 0, .anonymous, authenticator) }
        #expect(scopes == ["read:data", "a b"])
    }

    /// Names with separators in them mean what they say.
    @Test func oddNames() throws {
        #expect(
            try evaluate(#"["a,b","50%"]"#, [access("a,b"), access("a"), access("50%"), access("50%25")]) == [
                .allowed, .denied(0), .allowed, .denied(0),
            ])
    }

    /// J64
    @Test func cachedTokenIsJudgedAnew() throws {
        var authenticator = Authenticator([provider()], workers: 1)
        var authorization = Authorization([access("read:data"), access("admin")])
        let token = TokenSigner.rsa.token(claims())
        for _ in 0..<2 {
            let found = try principal(&authenticator, token)
            let verdicts = [
                judge(&authorization, 0, PrincipalSet(found), authenticator),
                judge(&authorization, 1, PrincipalSet(found), authenticator),
            ]
            #expect(verdicts == [.allowed, .denied(0)])
            authenticator.release(found)
        }
    }

    @Test func nobodyHasNothing() {
        let authenticator = Authenticator([provider()], workers: 1)
        var authorization = Authorization([access(), access("read:data")])
        let verdicts = [
            judge(&authorization, 0, .anonymous, authenticator),
            judge(&authorization, 1, .anonymous, authenticator),
        ]
        #expect(verdicts == [.allowed, .denied(0)])
        #expect(written(authenticator, .anonymous) == ["", "", ""])
    }
}
