// Rows J02 to J16: what a token looks like before anything in it is believed.
import JOSE
import Testing
import TokenSigning

@Suite struct TokenShapeTests {
    private let signer = TokenSigner.rsa
    private var good: String { signer.token(payload()) }
    private var parts: [String] { good.split(separator: ".").map(String.init) }

    @Test(arguments: [TokenSigner.rsa, .ec, .edwards]) func goodTokens(_ signer: TokenSigner) throws {
        let token = Array(signer.token(payload()).utf8)
        let outcome = try outcome(token, keys: signer.keySet.keys)
        #expect(outcome == Outcome(subject: "alice", goodFrom: now - 40, goodUntil: now + 630))
    }

    @Test func j02TooLarge() {
        let fit = "a.b." + String(repeating: "c", count: 8192 - 4)
        #expect(refusal(fit) == .malformed)
        #expect(refusal(fit + "c") == .tooLarge)
    }

    @Test(arguments: ["", ".", "a", "a.b", "..", "a..b", ".a.b", "a.b.c.d", "a.b.c.d.e.f", "......"])
    func j03Dots(_ token: String) { #expect(refusal(token) == .malformed) }

    @Test func j03ManyDots() {
        var rules = demoRules
        rules.maximumBytes = 200_000
        #expect(refusal(String(repeating: ".", count: 100_000), rules: rules) == .malformed)
    }

    @Test(arguments: ["a.b.c.d.e", "eyJhbGciOiJkaXIifQ..AAAA.BBBB.CCCC"]) func j04FiveParts(_ token: String) {
        #expect(refusal(token) == .encrypted)
    }

    @Test func j05JSONForm() {
        let json = #"{"payload":"\#(parts[1])","protected":"\#(parts[0])","signature":"\#(parts[2])"}"#
        #expect(refusal(json) == .malformed)
    }

    @Test func j06EmptyParts() {
        #expect(refusal(".\(parts[1]).\(parts[2])") == .malformed)
        #expect(refusal("\(parts[0])..\(parts[2])") == .malformed)
        #expect(refusal("\(parts[0]).\(parts[1]).") == .signatureMissing)
    }

    @Test(arguments: 0..<3, ["=", "==", "+", "/", " ", "\n", "é", "\u{0}", "%2e"]) func j07Alphabet(
        _ part: Int, _ extra: String
    ) {
        var parts = self.parts
        parts[part] += extra
        #expect(refusal(parts.joined(separator: ".")) == .malformed)
        var inside = self.parts
        inside[part] = String(inside[part].dropLast(4)) + extra + String(inside[part].suffix(4))
        #expect(refusal(inside.joined(separator: ".")) == .malformed)
    }

    /// 256 bytes of signature leave four unused bits: sixteen texts, one of which is the token.
    @Test func j08Canonical() {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        let signature = parts[2]
        let last = alphabet.firstIndex(of: signature.last!)!
        #expect(last % 16 == 0)
        for k in 1..<16 {
            #expect(refusal("\(parts[0]).\(parts[1]).\(signature.dropLast())\(alphabet[last + k])") == .malformed)
        }
        #expect(refusal(good + "AAA") == .malformed)
    }

    @Test(arguments: [[0xff], [0xef, 0xbb, 0xbf], [0xc0, 0x80]] as [[UInt8]]) func j10NotUTF8(_ bytes: [UInt8]) {
        let header = Array(signer.header.utf8), claims = Array(payload().utf8)
        #expect(refusal(signer.token(header: bytes + header, payload: claims)) == .malformed)
        #expect(refusal(signer.token(header: header, payload: bytes + claims)) == .malformed)
        #expect(refusal(signer.token(header: signer.header, payload(["sub": "\"\\ud800\""]))) == .malformed)
    }

    @Test(arguments: ["[]", "\"a\"", "null", "1", "[{}]", "true"]) func j11NotAnObject(_ text: String) {
        #expect(refusal(signer.token(header: text, payload())) == .malformed)
        #expect(refusal(signer.token(header: signer.header, text)) == .malformed)
    }

    @Test func j12Duplicates() {
        let kid = signer.key.kid
        #expect(
            refusal(signer.token(header: #"{"alg":"RS256","kid":"\#(kid)","alg":"RS256"}"#, payload()))
                == .duplicateMember)
        #expect(
            refusal(signer.token(header: #"{"alg":"RS256","kid":"\#(kid)","al\u0067":"none"}"#, payload()))
                == .duplicateMember)
        #expect(refusal(signer.token(payload(["x": #"{"a":1,"\u0061":2}"#]))) == .duplicateMember)
        #expect(refusal(signer.token(#"{"sub":"a","sub":"b"}"#)) == .duplicateMember)
    }

    @Test func j13Limits() {
        let deep = String(repeating: "[", count: 16) + String(repeating: "]", count: 16)
        #expect(refusal(signer.token(payload(["x": deep]))) == .malformed)
        #expect(refusal(signer.token(payload(["x": String(deep.dropFirst().dropLast())]))) == nil)
        let wide = "{" + (0..<251).map { "\"m\($0)\":0" }.joined(separator: ",") + "}"
        #expect(refusal(signer.token(payload(["x": wide]))) == .malformed)
        let long = String(repeating: "9", count: 1_000_000)
        var rules = demoRules
        rules.maximumBytes = 2 << 20
        #expect(refusal(signer.token(payload(["exp": long])), rules: rules) == .claimType)
    }

    @Test(arguments: ["x", " {}", "//", ",", "}"]) func j14TrailingBytes(_ extra: String) {
        #expect(refusal(signer.token(header: signer.header + extra, payload())) == .malformed)
        #expect(refusal(signer.token(header: signer.header, payload() + extra)) == .malformed)
        #expect(refusal(signer.token(payload(["x": "NaN"]))) == .malformed)
        #expect(refusal(signer.token(payload(["exp": "01"]))) == .malformed)
    }

    @Test func j15J16Extensions() {
        let kid = signer.key.kid
        #expect(
            refusal(signer.token(header: #"{"alg":"RS256","kid":"\#(kid)","zip":"DEF"}"#, payload()))
                == .unsupportedHeader)
        #expect(
            refusal(signer.token(header: #"{"alg":"RS256","kid":"\#(kid)","b64":false,"crit":["b64"]}"#, payload()))
                == .criticalExtension)
        #expect(
            refusal(signer.token(header: #"{"alg":"RS256","kid":"\#(kid)","b64":false}"#, payload()))
                == .criticalExtension)
    }

    /// One bit changed anywhere, or the token cut anywhere, and it is not believed.
    @Test func damageIsNeverBelieved() {
        let token = Array(TokenSigner.ec.token(payload()).utf8)
        let keys = TokenSigner.ec.keySet.keys
        var random = SystemRandomNumberGenerator()
        for at in 0..<token.count {
            var damaged = token
            damaged[at] ^= 1 << UInt8.random(in: 0..<7, using: &random)
            #expect(refusal(String(decoding: damaged, as: UTF8.self), keys: keys) != nil, "\(at)")
            #expect(refusal(String(decoding: token[..<at], as: UTF8.self), keys: keys) != nil, "cut at \(at)")
        }
    }
}
