// Rows J50 to J59: what a correctly signed token claims.
import JOSE
import Testing
import TokenSigning

@Suite struct TokenClaimTests {
    private func refused(_ changes: [String: String?], _ rules: TokenRules = demoRules, at time: Int64 = now)
        -> TokenRefusal?
    {
        refusal(
            TokenSigner.edwards.token(payload(changes)), keys: TokenSigner.edwards.keySet.keys, rules: rules, at: time)
    }

    @Test func j50ExpiredBeyondLeeway() {
        #expect(refused(["exp": "\(now - 29)"]) == nil)
        #expect(refused(["exp": "\(now - 30)"]) == .expired)
        #expect(refused(["exp": "\(now - 100_000)"]) == .expired)
    }

    @Test func j51NoExpiry() {
        #expect(refused(["exp": nil]) == .claimMissing)
        var rules = demoRules
        rules.require([])
        #expect(refused(["exp": nil], rules) == .lifetimeExceeded)
        rules.maximumLifetime = nil
        #expect(refused(["exp": nil], rules) == nil)
    }

    @Test(arguments: ["\"1795000600\"", "true", "null", "[]", "{}", "[1795000600]", "\"\""]) func j52Type(
        _ value: String
    ) {
        #expect(refused(["exp": value]) == .claimType)
        #expect(refused(["nbf": value]) == .claimType)
        #expect(refused(["iat": value]) == .claimType)
    }

    @Test func j53Decimals() {
        #expect(refused(["exp": "1.795000600e9"]) == nil)
        #expect(refused(["exp": "1795000600.5"]) == nil)
        #expect(refused(["exp": "17950006000e-1"]) == nil)
        // Half a second left, at exactly this leeway, is still before the end.
        #expect(refused(["exp": "\(now - 30).5"]) == nil)
        #expect(refused(["exp": "\(now - 30).0"]) == .expired)
        #expect(refused(["exp": "\(now - 31).99999999999999999999"]) == .expired)
    }

    @Test(arguments: ["-1", "0", "-0", "-1795000600", "0.0", "-0.0e5", "1e-400"]) func j54Past(_ value: String) {
        #expect(refused(["exp": value]) == .expired)
    }

    @Test(arguments: [
        "1e400", "9223372036854775808", "18446744073709551616", "-1e400", "1e19", "9999999999999999999", "0.001e30",
        String(repeating: "9", count: 400), "1e99999999999999999999",
    ])
    func j54OutOfRange(_ value: String) {
        #expect(refused(["exp": value]) == .claimType)
        #expect(refused(["nbf": value]) == .claimType)
    }

    @Test func j55Lifetime() {
        #expect(refused(["exp": "\(now + 3_155_760_000)"]) == .lifetimeExceeded)
        #expect(refused(["exp": "999999999999999999"]) == .lifetimeExceeded)
        #expect(refused(["exp": "\(now + 86_390)"]) == nil)
        #expect(refused(["exp": "\(now + 86_391)"]) == .lifetimeExceeded)
        #expect(refused(["exp": "\(now + 86_401)", "iat": nil]) == .lifetimeExceeded)
        #expect(refused(["exp": "\(now + 600)", "iat": "-999999999999999999"]) == .lifetimeExceeded)
    }

    @Test func j56NotYet() {
        #expect(refused(["nbf": "\(now + 30)"]) == nil)
        #expect(refused(["nbf": "\(now + 31)"]) == .notYetValid)
        #expect(refused(["nbf": "\(now + 30).1"]) == .notYetValid)
        #expect(refused(["iat": "\(now + 31)"]) == .notYetValid)
        #expect(refused(["nbf": "999999999999999999"]) == .notYetValid)
    }

    @Test(arguments: [
        "\"https://issuer.example/\"", "\"https://Issuer.example\"", "[\"https://issuer.example\"]", "null", "1",
        "\"\"",
        "\"https://issuer.exampl\"", "\"https://issuer.example \"",
    ])
    func j57Issuer(_ value: String) { #expect(refused(["iss": value]) == .issuerMismatch) }

    @Test func j57MissingOrEscaped() {
        #expect(refused(["iss": nil]) == .issuerMismatch)
        #expect(refused(["iss": #""https:\/\/issuer.example""#]) == nil)
        var rules = demoRules
        rules.issuer = nil
        #expect(refused(["iss": nil], rules) == nil)
    }

    @Test(arguments: [
        "\"apix\"", "\"ap\"", "\"\"", "[]", "1", "null", "{\"api\":1}", "[[\"api\"]]", "[1,null]", "\"api other-api\"",
        "[\"API\"]",
    ])
    func j58Audience(_ value: String) { #expect(refused(["aud": value]) == .audienceMismatch) }

    @Test func j58AnyOf() {
        #expect(refused(["aud": nil]) == .audienceMismatch)
        #expect(refused(["aud": #"["x","other-api"]"#]) == nil)
        #expect(refused(["aud": #"["x",1,"\u0061pi"]"#]) == nil)
        var rules = demoRules
        rules.audience = []
        #expect(refused(["aud": nil], rules) == nil)
    }

    @Test func j59Subject() {
        #expect(refused(["sub": nil]) == .claimMissing)
        #expect(refused(["sub": "\"\""]) == .claimMissing)
        for value in ["1", "null", "[\"a\"]", "{}", "true"] { #expect(refused(["sub": value]) == .claimType) }
        var rules = demoRules
        rules.require(["exp", "client_id"])
        #expect(refused(["sub": nil], rules) == .claimMissing)
        #expect(refused(["sub": nil, "client_id": "\"c\""], rules) == nil)
    }

    @Test func order() {
        #expect(refused(["iss": "1", "aud": "1", "exp": "0"]) == .issuerMismatch)
        #expect(refused(["aud": "1", "exp": "0"]) == .audienceMismatch)
        #expect(refused(["exp": "0", "sub": nil]) == .expired)
    }
}
