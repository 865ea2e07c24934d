// The advice of RFC 8725 (JSON Web Token Best Current Practices), section by section.
import JOSE
import Testing
import TokenSigning

@Suite struct BestPracticeTests {
    private let rsa = TokenSigner.rsa
    private func keySet(_ keys: String) throws -> JSONWebKeySet {
        try JSONWebKeySet.parse(Array("{\"keys\":[\(keys)]}".utf8))
    }

    /// 3.1: the caller says which algorithms are accepted, and each key is used with one family of them.
    @Test func algorithmVerification() {
        for algorithm in SignatureAlgorithm.asymmetric where algorithm != .rs256 {
            var rules = demoRules
            rules.algorithms = [algorithm]
            #expect(refusal(rsa.token(payload()), rules: rules) == .algorithmNotAllowed)
        }
        let both = rsa.keySet.keys + TokenSigner.ec.keySet.keys
        let crossed = TokenSigner.ec.token(header: #"{"alg":"ES256","kid":"\#(rsa.key.kid)"}"#, payload())
        #expect(refusal(crossed, keys: both) == .algorithmKeyMismatch)
    }

    /// 3.2: "none" is accepted under no circumstances.
    @Test func appropriateAlgorithms() {
        var rules = demoRules
        rules.algorithms = SignatureAlgorithm.allCases
        for name in ["none", "NONE", "None"] {
            let token = TokenSigner.encode(#"{"alg":"\#(name)"}"#) + "." + TokenSigner.encode(payload()) + "."
            #expect(refusal(token, rules: rules) == .algorithmNotAllowed)
            #expect(SignatureAlgorithm(name: name) == nil)
        }
    }

    /// 3.3: every operation is validated, and one that fails refuses the whole token.
    @Test func allOperationsAreValidated() {
        for signer in [TokenSigner.rsa, .ec, .p384, .p521, .edwards] {
            let good = signer.token(payload())
            let parts = good.split(separator: ".")
            let other = signer.token(payload(["sub": "\"root\""])).split(separator: ".")
            #expect(refusal(good, keys: signer.keySet.keys) == nil)
            #expect(refusal("\(parts[0]).\(other[1]).\(parts[2])", keys: signer.keySet.keys) == .signatureInvalid)
        }
    }

    /// 3.4: keys off their curve, and keys that need no secret, are no keys.
    @Test func cryptographicInputs() throws {
        let x = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
        #expect(try keySet(#"{"kty":"EC","crv":"P-256","x":"\#(x)","y":"\#(x)"}"#).keys.isEmpty)
        let zeros = TokenSigner.encode([UInt8](repeating: 0, count: 48))
        #expect(try keySet(#"{"kty":"EC","crv":"P-384","x":"\#(zeros)","y":"\#(zeros)"}"#).keys.isEmpty)
        let identity = TokenSigner.encode([1] + [UInt8](repeating: 0, count: 31))
        #expect(try keySet(#"{"kty":"OKP","crv":"Ed25519","x":"\#(identity)"}"#).keys.isEmpty)
    }

    /// 3.5: a password is no key.
    @Test func entropyOfKeys() throws {
        var rules = demoRules
        rules.algorithms = [.hs256]
        let password = Array("correct horse battery".utf8)
        let document = #"{"keys":[{"kty":"oct","k":"\#(TokenSigner.encode(password))"}]}"#
        #expect(try JSONWebKeySet.parse(file: Array(document.utf8)).keys.isEmpty)
        let token = TokenSigner.hmacToken(.hs256, secret: password, payload())
        #expect(refusal(token, keys: [JSONWebKey(.secret(password))], rules: rules) == .algorithmKeyMismatch)
    }

    /// 3.6: nothing is decompressed, and nothing is decrypted.
    @Test func noCompression() {
        let zipped = rsa.token(header: #"{"alg":"RS256","kid":"\#(rsa.key.kid)","zip":"DEF"}"#, payload())
        #expect(refusal(zipped) == .unsupportedHeader)
        #expect(refusal("eyJhbGciOiJkaXIifQ..AAAA.BBBB.CCCC") == .encrypted)
    }

    /// 3.7: UTF-8 and nothing else.
    @Test func onlyUTF8() {
        let header = Array(rsa.header.utf8)
        let utf16 = Array(payload().utf16).flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }
        #expect(refusal(rsa.token(header: header, payload: utf16)) == .malformed)
        #expect(
            refusal(rsa.token(header: header, payload: Array(payload().utf8.dropLast()) + [0xe4, 0x7d])) == .malformed)
    }

    /// 3.8 and 3.9: issuer, subject and audience are compared letter by letter.
    @Test func issuerSubjectAndAudience() {
        #expect(refusal(rsa.token(payload(["iss": "\"https://issuer.example/\""]))) == .issuerMismatch)
        #expect(refusal(rsa.token(payload(["sub": nil]))) == .claimMissing)
        #expect(refusal(rsa.token(payload(["aud": "\"API\""]))) == .audienceMismatch)
        #expect(refusal(rsa.token(payload(["aud": nil]))) == .audienceMismatch)
    }

    /// 3.10: what the token says of keys is looked up, compared, and never followed.
    @Test func receivedClaimsAreNotTrusted() {
        let forger = TokenSigner.otherRSA
        for more in [#""jku":"https://evil.example/k""#, #""x5u":"https://evil.example/c""#, #""x5c":["AA"]"#] {
            let token = forger.token(header: #"{"alg":"RS256","kid":"\#(rsa.key.kid)",\#(more)}"#, payload())
            #expect(refusal(token) == .signatureInvalid)
        }
        let named = forger.token(header: #"{"alg":"RS256","kid":"x' UNION SELECT key --"}"#, payload())
        #expect(refusal(named) == .keyUnknown)
    }

    /// 3.11 and 3.12: tokens of different kinds are told apart by their type, whoever signed them.
    @Test func kindsOfTokens() {
        var access = demoRules, logout = demoRules
        (access.types, access.allowsMissingType) = ([Array("at+jwt".utf8)], false)
        (logout.types, logout.allowsMissingType) = ([Array("logout+jwt".utf8)], false)
        let tokens = [rsa.token(payload(), type: "at+jwt"), rsa.token(payload(), type: "logout+jwt")]
        #expect(tokens.map { refusal($0, rules: access) } == [nil, .typeNotAllowed])
        #expect(tokens.map { refusal($0, rules: logout) } == [.typeNotAllowed, nil])
    }
}
