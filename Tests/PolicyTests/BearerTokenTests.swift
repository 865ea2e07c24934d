// Rows A01 to A05, J01 and J09: where the token stands in a request, and what is no token.
import Policy
import Testing
import TokenSigning

@Suite struct BearerTokenTests {
    private let token = TokenSigner.rsa.token(claims())

    private func answers(_ values: String...) -> LocalResponse? {
        var authenticator = Authenticator([provider()], workers: 1)
        return answer(&authenticator, authorization: values)
    }

    @Test func j01Missing() {
        #expect(answers() == .tokenMissing)
        #expect(answers("") == .tokenMissing)
        #expect(answers("   ") == .tokenMissing)
    }

    @Test func a01Several() {
        #expect(answers(" Bearer \(token)", " Bearer \(token)") == .invalidRequest)
        #expect(answers("", " Bearer \(token)") == .invalidRequest)
        #expect(answers(" Bearer \(token)", "") == .invalidRequest)
        #expect(answers("", "") == .invalidRequest)
        #expect(answers(" Basic eDp5", " Bearer \(token)") == .invalidRequest)
        #expect(answers(" Bearer \(token)", " Basic eDp5") == .invalidRequest)
        #expect(answers(" Bearer \(token), Bearer \(token)") == .invalidRequest)
        #expect(answers(" Bearer \(token),Basic eDp5") == .invalidRequest)
        #expect(answers(" Bearer \(token),") == .invalidRequest)
    }

    @Test(arguments: ["Bearer", "bearer", "BEARER", "bEaReR"]) func a02Case(_ scheme: String) {
        #expect(answers(" \(scheme) \(token)") == nil)
    }

    @Test func a03Blanks() {
        #expect(answers("Bearer  \(token)") == nil)
        #expect(answers(" \t Bearer     \(token) \t ") == nil)
        #expect(answers(" Bearer\t\(token)") == .invalidRequest)
        #expect(answers(" Bearer \t\(token)") == .invalidRequest)
        #expect(answers(" Bearer\t \(token)") == .invalidRequest)
    }

    @Test func a04NoTokenOrNoScheme() {
        #expect(answers(" Bearer") == .invalidRequest)
        #expect(answers(" Bearer ") == .invalidRequest)
        #expect(answers(" bearer\(token)") == .invalidRequest)
        #expect(answers(" BearerX \(token)") == .invalidRequest)
        #expect(answers(" Bearer:\(token)") == .invalidRequest)
        #expect(answers(" \(token)") == .invalidRequest)
        #expect(answers(" a.b.c") == .invalidRequest)
    }

    @Test(arguments: [
        " Basic dXNlcjpwYXNz", " Digest username=\"a.b.c\", realm=\"x\"",
        " AWS4-HMAC-SHA256 Credential=a/b, Signature=c", " Bear x",
        " DPoP a.b.c", " a.b", " a.b.c.d", " x",
    ])
    func a05OtherSchemes(_ value: String) {
        #expect(answers(value) == .tokenMissing, "\(value)")
    }

    @Test func j09MoreThanAToken() {
        #expect(answers(" Bearer \(token) .jjjj") == .invalidRequest)
        #expect(answers(" Bearer \(token),x") == .invalidRequest)
        #expect(answers(" Bearer \(token) \(token)") == .invalidRequest)
        #expect(answers(" Bearer \(token)\tx") == .invalidRequest)
    }

    @Test func j05JSONIsAMalformedToken() {
        #expect(answers(#" Bearer {"payload":"e30","protected":"e30","signature":"AA"}"#) == .tokenMalformed)
    }
}
