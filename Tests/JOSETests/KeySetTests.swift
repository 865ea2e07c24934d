// Which keys of a document are taken, and what a replaced key set forgets.
import Bytes
import JOSE
import Testing
import TokenSigning

@Suite struct KeySetTests {
    private func set(_ keys: String...) throws -> JSONWebKeySet {
        try JSONWebKeySet.parse(Array("{\"keys\":[\(keys.joined(separator: ","))]}".utf8))
    }
    private func jwk(_ signer: TokenSigner) -> String {
        String(String(decoding: signer.key.jwks, as: UTF8.self).dropFirst(9).dropLast(3))
    }
    private func rsa(bits: Int, exponent: String = "AQAB", more: String = "") -> String {
        var modulus = [UInt8](repeating: 0xff, count: bits / 8)
        modulus[0] = 0x80
        return #"{"kty":"RSA","n":"\#(Base64URL.encode(modulus.span))","e":"\#(exponent)"\#(more)}"#
    }

    @Test func takesEveryKind() throws {
        let found = try set(jwk(.rsa), jwk(.ec), jwk(.p384), jwk(.p521), jwk(.edwards))
        #expect(found.keys.count == 5 && found.skipped.isEmpty)
        #expect(found.keys.map(\.algorithm) == [.rs256, .es256, .es384, .es512, .eddsa])
        #expect(found.keys.map(\.id) == [TokenSigner.rsa, .ec, .p384, .p521, .edwards].map { $0.key.kid })
        #expect(found.keys.map(\.thumbprint) == found.keys.map(\.id))
    }

    /// RFC 7517 section 5: what nobody asked us to know is passed over in silence.
    @Test(arguments: [
        #"{"kty":"future","kid":"a"}"#, #"{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}"#,
        #"{"kty":"OKP","crv":"X25519","x":"AA"}"#,
    ])
    func foreignKinds(_ key: String) throws {
        let found = try set(key, jwk(.ec))
        #expect(found.keys.count == 1 && found.skipped.isEmpty)
    }

    @Test func foreignAlgorithms() throws {
        let found = try set(rsa(bits: 2048, more: #","alg":"RS1""#), rsa(bits: 2048, more: #","alg":"RSA-OAEP""#))
        #expect(found.keys.isEmpty && found.skipped.isEmpty)
        let each = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
        let known = try JSONWebKeySet.parse(
            Array(
                "{\"keys\":[\(each.map { rsa(bits: 2048, more: ",\"alg\":\"\($0)\"") }.joined(separator: ","))]}".utf8))
        #expect(known.keys.map { $0.algorithm?.name } == each)
    }

    /// J23: they are remembered by name, so that a token which names one is told what is wrong with it.
    @Test func foreignKeysAreRememberedByName() throws {
        let found = try set(
            #"{"kty":"EC","crv":"secp256k1","kid":"k1","x":"AA","y":"AA"}"#, #"{"kty":"OKP","crv":"X25519","kid":"x"}"#,
            rsa(bits: 2048, more: #","alg":"RS1","kid":"old""#), rsa(bits: 2048, more: #","alg":"RS1""#),
            rsa(bits: 1024, more: #","kid":"weak""#))
        #expect(found.keys.isEmpty && found.foreignIDs == ["k1", "x", "old"])
        let token = { (kid: String) in TokenSigner.ec.token(header: #"{"alg":"ES256","kid":"\#(kid)"}"#, payload()) }
        let keys = TokenSigner.ec.keySet.keys
        #expect(refusal(token("k1"), keys: keys, foreignIDs: found.foreignIDs) == .algorithmKeyMismatch)
        #expect(refusal(token("k"), keys: keys, foreignIDs: found.foreignIDs) == .keyUnknown)
        #expect(refusal(token("k1"), keys: keys, isComplete: false, foreignIDs: ["k1"]) == .keysUnavailable)
        let usable = TokenSigner.ec.key.kid
        #expect(refusal(token(usable), keys: keys, foreignIDs: [usable]) == nil)
    }

    /// J30: whoever signs for such a key needs no secret.
    @Test(arguments: [
        "00", "01", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", "ec" + ones(30) + "7f",
        "ed" + ones(30) + "7f", "ee" + ones(30) + "7f",
    ])
    func smallOrderPointsOfEd25519(_ point: String) throws { try refusesPoint(point, curve: "Ed25519", count: 32) }

    @Test(arguments: ["00", "01", "fe" + ones(27) + "fe" + ones(27)])
    func smallOrderPointsOfEd448(_ point: String) throws { try refusesPoint(point, curve: "Ed448", count: 57) }

    private func refusesPoint(_ point: String, curve: String, count: Int) throws {
        for sign: UInt8 in [0, 0x80] {
            var bytes = [UInt8](repeating: 0, count: count)
            for (i, at) in stride(from: 0, to: point.utf8.count, by: 2).enumerated() {
                bytes[i] = try #require(UInt8(point.dropFirst(at).prefix(2), radix: 16))
            }
            bytes[count - 1] |= sign
            let found = try set(#"{"kty":"OKP","crv":"\#(curve)","x":"\#(Base64URL.encode(bytes.span))"}"#)
            #expect(found.keys.isEmpty)
            #expect(found.skipped.first?.contains("small order") ?? false)
        }
    }

    private static func ones(_ count: Int) -> String { String(repeating: "ff", count: count) }

    /// J28, J40, R06
    @Test func unusableKeys() throws {
        let bad = [
            rsa(bits: 1024), rsa(bits: 2040), rsa(bits: 16384), rsa(bits: 2048, exponent: "Aw"),
            rsa(bits: 2048, exponent: "AQAA"),
            rsa(bits: 2048, exponent: "AQAAAAE"), rsa(bits: 2048, exponent: "Af____8"), rsa(bits: 2048, exponent: ""),
            rsa(bits: 2048, more: #","use":"enc""#), rsa(bits: 2048, more: #","key_ops":["sign"]"#),
            rsa(bits: 2048, more: #","d":"AA""#),
            rsa(bits: 2048, more: #","kid":7"#), rsa(bits: 2048, more: #","alg":"ES256""#),
            rsa(bits: 2048, more: #","key_ops":"verify""#),
            rsa(bits: 2048, more: #","alg":"HS256""#), rsa(bits: 2048, more: #","k":"AA""#),
            rsa(bits: 2048, more: #","kid":"\#(String(repeating: "k", count: 257))""#),
            #"{"kty":"oct","k":"\#(String(repeating: "A", count: 86))"}"#, #"{"kty":"oct"}"#,
            #"{"kid":"x"}"#, "1", "[]", "null",
            #"{"kty":"RSA","n":"A=","e":"AQAB"}"#, #"{"kty":"RSA","e":"AQAB"}"#,
            #"{"kty":"OKP","crv":"Ed25519","x":"AAAA"}"#,
            jwk(.edwards).replacing("EdDSA", with: "Ed448"), jwk(.ec).replacing("ES256", with: "ES384"),
            jwk(.ec).replacing("P-256", with: "P-384"), jwk(.p384).replacing("P-384", with: "P-256"),
            jwk(.p384).replacing("ES384", with: "ES512"), jwk(.p521).replacing("ES512", with: "RS512"),
            #"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"}"#,
        ]
        for key in bad {
            let found = try set(key)
            #expect(found.keys.isEmpty && found.skipped.count == 1, "\(key.prefix(60)) \(key.suffix(40))")
        }
        #expect(try set(rsa(bits: 2048, more: #","key_ops":["verify"],"use":"sig""#)).keys.count == 1)
        #expect(try set(rsa(bits: 2048, exponent: "AQAAAAA")).keys.isEmpty)
    }

    /// J41
    @Test(arguments: [
        "", "x", "[]", "{}", "null", "<html></html>", #"{"keys":{}}"#, #"{"keys":[]"#, #"{"keys":[]} x"#,
        "{\"key\":[]}",
    ])
    func refusesWhatIsNoKeySet(_ document: String) {
        #expect(throws: JOSEError.self) { try JSONWebKeySet.parse(Array(document.utf8)) }
    }

    @Test func limits() throws {
        #expect(throws: JOSEError.tooLarge(bytes: 262_145)) {
            try JSONWebKeySet.parse([UInt8](repeating: 0x20, count: 262_145))
        }
        let key = #"{"kty":"future"}"#
        let many = { (n: Int) in Array("{\"keys\":[\(Array(repeating: key, count: n).joined(separator: ","))]}".utf8) }
        #expect(try JSONWebKeySet.parse(many(64)).keys.isEmpty)
        #expect(throws: JOSEError.tooManyKeys) { try JSONWebKeySet.parse(many(65)) }
        #expect(throws: JOSEError.duplicateMember) { try set(#"{"kty":"RSA","kty":"EC"}"#) }
        #expect(throws: JOSEError.duplicateMember) { try JSONWebKeySet.parse(Array(#"{"keys":[],"keys":[]}"#.utf8)) }
        let hostile = Array(("{\"keys\":[" + String(repeating: "[", count: 200_000)).utf8)
        #expect(throws: JOSEError.notJSON) { try JSONWebKeySet.parse(hostile) }
    }

    /// Secrets of a file that nobody else sees; J22: none that is shorter than its hash.
    @Test func secretsOfAFile() throws {
        let secret = { (count: Int, more: String) in
            #"{"kty":"oct","k":"\#(Base64URL.encode([UInt8](repeating: 7, count: count).span))"\#(more)}"#
        }
        let read = { (key: String) in try JSONWebKeySet.parse(file: Array("\n {\"keys\":[\(key)]}".utf8)) }
        #expect(try read(secret(32, "")).keys.map(\.material) == [.secret([UInt8](repeating: 7, count: 32))])
        #expect(try read(secret(64, #","alg":"HS512","use":"sig","kid":"a""#)).keys.map(\.algorithm) == [.hs512])
        for bad in [
            secret(31, ""), secret(0, ""), secret(47, #","alg":"HS384""#), secret(63, #","alg":"HS512""#),
            secret(64, #","alg":"RS256""#), secret(64, #","use":"enc""#), secret(64, #","key_ops":["sign"]"#),
            secret(64, #","d":"AA""#), #"{"kty":"oct"}"#, #"{"kty":"oct","k":7}"#, rsa(bits: 2048, more: #","k":"AA""#),
        ] {
            let found = try read(bad)
            #expect(found.keys.isEmpty && found.skipped.count == 1, "\(bad)")
        }
        #expect(try read(secret(64, #","alg":"A256KW""#)).keys.isEmpty)
        #expect(
            try JSONWebKeySet.parse(file: TokenSigner.p521.key.publicPEM).keys.map(\.id) == [TokenSigner.p521.key.kid])
    }

    @Test(arguments: [TokenSigner.rsa, .ec, .p384, .p521, .edwards]) func readsPEM(_ signer: TokenSigner) throws {
        let found = try JSONWebKeySet.parse(pem: signer.key.publicPEM)
        #expect(found.keys.count == 1)
        #expect(found.keys[0].material == signer.keySet.keys[0].material)
        #expect(found.keys[0].id == signer.key.kid)
        #expect(refusal(signer.token(payload()), keys: found.keys) == nil)
        let both = try JSONWebKeySet.parse(
            pem: signer.key.publicPEM + Array("comment\n".utf8) + TokenSigner.rsa.key.publicPEM)
        #expect(both.keys.count == 2)
    }

    @Test func refusesBadPEM() {
        #expect(throws: JOSEError.privateKey) { try JSONWebKeySet.parse(pem: TokenSigner.rsa.key.privatePEM) }
        #expect(throws: JOSEError.notPEM) { try JSONWebKeySet.parse(pem: Array("hello".utf8)) }
        #expect(throws: JOSEError.notPEM) { try JSONWebKeySet.parse(pem: []) }
        #expect(throws: JOSEError.notPEM) {
            try JSONWebKeySet.parse(pem: Array(TokenSigner.rsa.key.publicPEM.dropLast(60)))
        }
        let weak = Array("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n".utf8)
        #expect(throws: JOSEError.notPEM) { try JSONWebKeySet.parse(pem: weak) }
        #expect(TokenSigner.errorQueueIsEmpty)
    }

    @Test func replacingKeepsSerialsOfKeysThatStay() {
        var keys = KeySet()
        let rsa = TokenSigner.rsa.keySet.keys[0], ec = TokenSigner.ec.keySet.keys[0]
        keys.replace(with: JSONWebKeySet(keys: [rsa, ec]))
        let first = keys.generation
        #expect(keys.count == 2)
        let (zero, one) = (keys.contains(serial: 0), keys.contains(serial: 1))
        #expect(zero && one)
        keys.replace(with: JSONWebKeySet(keys: [ec, rsa, TokenSigner.edwards.keySet.keys[0]]))
        #expect(keys.generation == first, "a key that comes takes nothing away")
        keys.replace(with: JSONWebKeySet(keys: [ec]))
        #expect(keys.generation != first)
        let (rsaLives, ecLives) = (keys.contains(serial: 0), keys.contains(serial: 1))
        #expect(!rsaLives && ecLives)
        keys.replace(with: JSONWebKeySet(keys: [ec, rsa, ec]))
        #expect(keys.count == 2, "the same key in two documents is one key")
        let secret = JSONWebKey(.secret([UInt8](repeating: 1, count: 32)))
        keys.replace(with: JSONWebKeySet(keys: [ec, secret, secret]))
        #expect(keys.count == 2)
        let (second, secretLives) = (keys.generation, keys.contains(serial: 4))
        #expect(secretLives)
        keys.replace(with: JSONWebKeySet(keys: [ec]))
        #expect(keys.generation != second, "a secret that goes takes its tokens along")
        let rsaReturns = keys.contains(serial: 0)
        #expect(!rsaReturns, "a serial is never used again")
    }
}
