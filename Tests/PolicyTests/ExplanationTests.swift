// The tables of explanations: every refusal has its check and its advice.
import Policy
import Testing

struct ExplanationTests {
    @Test(arguments: LocalResponse.allCases)
    func `every refusal has advice of whole sentences`(response: LocalResponse) {
        let advice = response.advice(AdviceFacts())
        #expect(!advice.isEmpty)
        for sentence in advice { #expect(sentence.hasSuffix(".") || sentence.hasSuffix("?"), "\(sentence)") }
    }

    @Test func `a malformed token is malformed where it is`() {
        func check(_ token: String) -> Explanation.Check {
            Explanation.Check(failedWith: .tokenMalformed, UnpackedToken(Array(token.utf8)))
        }
        #expect(check("a.b") == .tokenShape)
        #expect(check("e30.=.AA") == .tokenShape)
        #expect(check("e30.e30.=") == .tokenShape)
        #expect(check("W10.e30.AA") == .header)
        #expect(check("e30.W10.AA") == .claims)
    }

    @Test func `the claims of a token are read, whatever they are`() {
        // {"sub":"é","aud":["a",1,"b"],"exp":1.5,"x":{"y":[]}}
        let token = UnpackedToken(
            Array("e30.eyJzdWIiOiJcdTAwZTkiLCJhdWQiOlsiYSIsMSwiYiJdLCJleHAiOjEuNSwieCI6eyJ5IjpbXX19.AA".utf8))
        #expect(token.claim("sub")?.shown == "\"é\"")
        #expect(token.claim("aud")?.elements == ["a", "b"])
        #expect(token.claim("exp")?.seconds == 2)
        #expect(token.claim("x")?.text == "{\"y\":[]}")
        #expect(token.claim("y") == nil)
        #expect(token.fault == nil)
    }

    @Test func `what was not reached tells nothing`() {
        var explanation = Explanation(now: 0)
        let steps = [Explanation.Check.issuer, .audience, .expiry].map { Explanation.Step($0, got: "x") }
        explanation.append(steps, failing: .audience)
        #expect(explanation.steps.map(\.result) == [.passed, .failed, .notReached])
        #expect(explanation.steps.map(\.got) == ["x", "x", nil])
        #expect(explanation.failed?.check == .audience)
    }
}
