// Rows J60, J61 and J64: a permission is one word, asked for by each location anew.
import Configuration
import Policy
import Testing
import TokenSigning

@Suite struct AuthorizationTests {
    private func access(_ permissions: String...) -> Access {
        var access = Access()
        access.providers = [0]
        access.permissions = permissions.map { RequiredPermission(name: $0) }
        return access
    }

    private func evaluate(_ claim: String?, _ accesses: [Access]) throws -> [Authorization.Verdict] {
        var authenticator = Authenticator([provider()], workers: 1)
        let found = try principal(&authenticator, TokenSigner.rsa.token(claims(["permissions": claim])))
        let authorization = Authorization(accesses)
        var verdicts: [Authorization.Verdict] = []
        for i in accesses.indices {
            verdicts.append(authorization.evaluate(location: i, PrincipalSet(found), authenticator))
        }
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
                == [.allowed, .allowed, .allowed, .missing(0), .missing(1)])
        #expect(try evaluate(#""write:data read:data""#, accesses).prefix(3) == [.allowed, .allowed, .allowed])
    }

    @Test(arguments: [
        "7", "null", "true", #"{"read:data":true}"#, #"["read:data",1]"#, #"[["read:data"]]"#, #"["read:database"]"#,
        #"["unread:data"]"#,
        #"["read:dat"]"#, #"["READ:DATA"]"#, #"["read:data,x"]"#, #"["x read:data"]"#, #"["read:data "]"#,
        #"["read%3Adata"]"#, "[]",
        #"["read:*"]"#, #""read:data,write:data""#, #""""#,
    ])
    func j60WholeWords(_ claim: String) throws { #expect(try evaluate(claim, [access("read:data")]) == [.missing(0)]) }

    @Test func j61Missing() throws {
        #expect(try evaluate(nil, [access("read:data")]) == [.missing(0)])
        let authorization = Authorization([access("read:data"), access("a", "b"), access()])
        let scopes = (0..<3).map { i in
            let scope = authorization.scope(location: i)
            return String(decoding: scope.indices.map { scope[$0] }, as: UTF8.self)
        }
        #expect(scopes == ["read:data", "a b", ""])
    }

    /// Names with separators in them mean what they say.
    @Test func oddNames() throws {
        #expect(
            try evaluate(#"["a,b","50%"]"#, [access("a,b"), access("a"), access("50%"), access("50%25")]) == [
                .allowed, .missing(0), .allowed, .missing(0),
            ])
    }

    /// J64
    @Test func cachedTokenIsJudgedAnew() throws {
        var authenticator = Authenticator([provider()], workers: 1)
        let authorization = Authorization([access("read:data"), access("admin")])
        let token = TokenSigner.rsa.token(claims())
        for _ in 0..<2 {
            let found = try principal(&authenticator, token)
            let verdicts = [
                authorization.evaluate(location: 0, PrincipalSet(found), authenticator),
                authorization.evaluate(location: 1, PrincipalSet(found), authenticator),
            ]
            #expect(verdicts == [.allowed, .missing(0)])
            authenticator.release(found)
        }
    }

    @Test func nobodyHasNothing() {
        let authenticator = Authenticator([provider()], workers: 1)
        let authorization = Authorization([access(), access("read:data")])
        let verdicts = [
            authorization.evaluate(location: 0, PrincipalSet.anonymous, authenticator),
            authorization.evaluate(location: 1, PrincipalSet.anonymous, authenticator),
        ]
        #expect(verdicts == [.allowed, .missing(0)])
        #expect(written(authenticator, .anonymous) == ["", "", ""])
    }
}
