// Rows J20 to J43: algorithm, header and key.
import Bytes
import JOSE
import Testing
import TokenSigning

@Suite struct TokenHeaderTests {
    private let rsa = TokenSigner.rsa
    private let ec = TokenSigner.ec
    private let edwards = TokenSigner.edwards

    private func header(_ alg: String, _ kid: String, _ more: String = "") -> String {
        #"{"alg":"\#(alg)","kid":"\#(kid)"\#(more)}"#
    }

    @Test(arguments: [
        "none", "None", "nOnE", "NONE", "none ", " none", "", "rs256", "RS256 ", "HS256", "HS384", "HS512", "RS1",
        "ES256K", "ESS512", "PS256K", "A256KW", "RSA-OAEP", "dir", "Ed25519ph",
    ])
    func j20J21Algorithms(_ name: String) {
        let token = rsa.token(header: header(name, rsa.key.kid), payload())
        #expect(refusal(token) == .algorithmNotAllowed)
        let unsigned = token.split(separator: ".").prefix(2).joined(separator: ".") + "."
        #expect(refusal(unsigned) == .algorithmNotAllowed)
    }

    /// The public key as an HMAC secret, in each form an attacker can get it.
    @Test(arguments: [TokenSigner.rsa, .ec]) func j21PublicKeyAsSecret(_ signer: TokenSigner) {
        let pem = signer.key.publicPEM
        for secret in [pem, Array(pem.dropLast()), signer.key.jwks, Array(signer.key.jwks.dropLast()), []] {
            for kid in [#","kid":"\#(signer.key.kid)""#, ""] {
                let signed = TokenSigner.encode(#"{"alg":"HS256"\#(kid)}"#) + "." + TokenSigner.encode(payload())
                let token = signed + "." + TokenSigner.encode(TokenSigner.hmac(signed, secret: secret))
                // J22: a JWK without `alg` invites no algorithm in.
                let keys = signer.keySet.keys.map { JSONWebKey($0.material, id: $0.id) }
                #expect(refusal(token, keys: keys) == .algorithmNotAllowed)
            }
        }
    }

    @Test func j23Mismatch() {
        let keys = rsa.keySet.keys + ec.keySet.keys + edwards.keySet.keys
        #expect(
            refusal(rsa.token(header: header("ES256", rsa.key.kid), payload()), keys: keys) == .algorithmKeyMismatch)
        #expect(refusal(ec.token(header: header("RS256", ec.key.kid), payload()), keys: keys) == .algorithmKeyMismatch)
        #expect(
            refusal(edwards.token(header: header("ES256", edwards.key.kid), payload()), keys: keys)
                == .algorithmKeyMismatch)
        // RFC 9864: the name says the curve.
        #expect(refusal(edwards.token(header: header("Ed25519", edwards.key.kid), payload()), keys: keys) == nil)
        #expect(
            refusal(edwards.token(header: header("Ed448", edwards.key.kid), payload()), keys: keys)
                == .algorithmKeyMismatch)
        // The algorithm is known, but not this provider's.
        var rules = demoRules
        rules.algorithms = [.es256]
        #expect(refusal(rsa.token(payload()), keys: keys, rules: rules) == .algorithmNotAllowed)
    }

    @Test(arguments: [
        "{}", #"{"alg":1}"#, #"{"alg":null}"#, #"{"alg":["RS256"]}"#, #"{"alg":{"RS256":1}}"#, #"{"typ":"JWT"}"#,
    ])
    func j24NoAlgorithm(_ header: String) {
        #expect(refusal(rsa.token(header: header, payload())) == .algorithmNotAllowed)
    }

    @Test(arguments: [TokenSigner.rsa, .ec, .p384, .p521, .edwards]) func j23EachKeyHasOneFamily(_ signer: TokenSigner)
    {
        // Neither `alg` nor `kid` says what the key is for.
        let keys = signer.keySet.keys.map { JSONWebKey($0.material) }
        let family: [SignatureAlgorithm] =
            signer.algorithm == "RS256"
            ? [.rs256, .rs384, .rs512, .ps256, .ps384, .ps512] : [signer.signatureAlgorithm]
        for algorithm in SignatureAlgorithm.asymmetric {
            let token = signer.signing(algorithm).token(header: #"{"alg":"\#(algorithm.name)"}"#, payload())
            #expect(refusal(token, keys: keys) == (family.contains(algorithm) ? nil : .algorithmKeyMismatch))
            // A key that names its algorithm is for that one alone.
            let named = signer.keySet.keys
            let expected: TokenRefusal? = algorithm == signer.signatureAlgorithm ? nil : .algorithmKeyMismatch
            #expect(refusal(token, keys: named) == expected)
        }
    }

    /// A kept context of one algorithm is not taken for another one's.
    @Test func rsaAlgorithmsInTurn() {
        let keys = rsa.keySet.keys.map { JSONWebKey($0.material) }
        let all = SignatureAlgorithm.asymmetric.filter { $0.name.hasPrefix("RS") || $0.name.hasPrefix("PS") }
        var set = KeySet()
        set.replace(with: JSONWebKeySet(keys: keys))
        var verifier = TokenVerifier()
        for _ in 0..<2 {
            for algorithm in all {
                for claimed in all {
                    let signed =
                        TokenSigner.encode(#"{"alg":"\#(claimed.name)"}"#) + "." + TokenSigner.encode(payload())
                    let signature = rsa.signing(algorithm).signature(of: Array(signed.utf8))
                    let token = Array((signed + "." + TokenSigner.encode(signature)).utf8)
                    var found: TokenRefusal?
                    do throws(TokenRefusal) {
                        let claims = try UnverifiedClaims.decode(token.span, maximumBytes: 8192)
                        _ = try verifier.verify(
                            claims, of: token.span, keys: set, rules: demoRules, digest: SHA256(), now: now)
                    } catch { found = error }
                    #expect(found == (algorithm == claimed ? nil : .signatureInvalid), "\(algorithm) as \(claimed)")
                }
            }
        }
    }

    /// RFC 7518 section 3.5: the salt is as long as the hash, and the mask is made with the same hash.
    @Test(arguments: [SignatureAlgorithm.ps256, .ps384, .ps512]) func j29PSS(_ algorithm: SignatureAlgorithm) {
        let keys = rsa.keySet.keys.map { JSONWebKey($0.material) }
        let signed = TokenSigner.encode(#"{"alg":"\#(algorithm.name)"}"#) + "." + TokenSigner.encode(payload())
        let signer = rsa.signing(algorithm)
        let right = algorithm.digestBytes
        for salt in [0, 1, 20, right - 1, right + 1, 256 - 2 - right, right] {
            for mask in [32, 48, 64] {
                let signature = signer.derSignature(of: Array(signed.utf8), salt: salt, mask: mask)
                let found = refusal(signed + "." + TokenSigner.encode(signature), keys: keys)
                #expect(
                    found == (salt == right && mask == right ? nil : .signatureInvalid), "salt \(salt), mask \(mask)")
            }
        }
    }

    @Test(arguments: [SignatureAlgorithm.hs256, .hs384, .hs512]) func secrets(_ algorithm: SignatureAlgorithm) {
        var rules = demoRules
        rules.algorithms = [.rs256, algorithm]
        let secret = [UInt8]((0..<UInt8(algorithm.digestBytes)))
        let keys = [JSONWebKey(.secret(secret))]
        let token = TokenSigner.hmacToken(algorithm, secret: secret, payload())
        for _ in 0..<3 { #expect(refusal(token, keys: keys, rules: rules) == nil) }
        #expect(refusal(token, keys: rsa.keySet.keys + keys, rules: rules) == nil)
        // J42: wherever the tag differs.
        let signed = token.split(separator: ".").dropLast().joined(separator: ".")
        let tag = TokenSigner.hmac(signed, secret: secret, bytes: algorithm.digestBytes)
        for at in tag.indices {
            var wrong = tag
            wrong[at] ^= 1
            #expect(refusal(signed + "." + TokenSigner.encode(wrong), keys: keys, rules: rules) == .signatureInvalid)
        }
        for wrong in [Array(tag.dropLast()), tag + [0], Array(tag.prefix(1)), TokenSigner.hmac(signed, secret: [])] {
            #expect(refusal(signed + "." + TokenSigner.encode(wrong), keys: keys, rules: rules) == .signatureInvalid)
        }
        // J21, J22: with a provider that has no secret, or one that is too short, nothing is computed.
        #expect(refusal(token, keys: rsa.keySet.keys, rules: rules) == .algorithmKeyMismatch)
        let short = [JSONWebKey(.secret(Array(secret.dropLast())))]
        let weak = TokenSigner.hmacToken(algorithm, secret: Array(secret.dropLast()), payload())
        #expect(refusal(weak, keys: short, rules: rules) == .algorithmKeyMismatch)
        #expect(refusal(token, keys: keys) == .algorithmNotAllowed)
        let public256 = TokenSigner.rsa.keySet.keys.map { JSONWebKey($0.material, id: $0.id) }
        for spelling in [rsa.key.publicPEM, rsa.key.jwks, []] {
            let forged = TokenSigner.hmacToken(algorithm, secret: spelling, payload())
            #expect(refusal(forged, keys: public256, rules: rules) == .algorithmKeyMismatch)
            #expect(refusal(forged, keys: public256 + keys, rules: rules) == .signatureInvalid)
        }
        // And a secret checks nothing but tags.
        #expect(
            refusal(rsa.token(header: #"{"alg":"RS256"}"#, payload()), keys: keys, rules: rules)
                == .algorithmKeyMismatch)
    }

    @Test func secretsByName() {
        var rules = demoRules
        rules.algorithms = [.hs256, .hs512, .rs256]
        let secret = [UInt8](repeating: 9, count: 64)
        let keys = rsa.keySet.keys + [JSONWebKey(.secret(secret), id: "s", algorithm: .hs512)]
        let token = { (algorithm: SignatureAlgorithm, kid: String) in
            TokenSigner.hmacToken(algorithm, secret: secret, header: #","kid":"\#(kid)""#, payload())
        }
        #expect(refusal(token(.hs512, "s"), keys: keys, rules: rules) == nil)
        #expect(refusal(token(.hs256, "s"), keys: keys, rules: rules) == .algorithmKeyMismatch)
        #expect(refusal(token(.hs512, rsa.key.kid), keys: keys, rules: rules) == .algorithmKeyMismatch)
        #expect(refusal(token(.hs512, "t"), keys: keys, rules: rules) == .keyUnknown)
        #expect(
            refusal(rsa.token(header: header("RS256", "s"), payload()), keys: keys, rules: rules)
                == .algorithmKeyMismatch)
    }

    /// The ranges and lengths of P-384 and P-521, as below for P-256.
    @Test(arguments: [TokenSigner.p384, .p521], [true, false]) func j25J26LargerCurves(
        _ signer: TokenSigner, _ isHalf: Bool
    ) {
        let signed = TokenSigner.encode(signer.header) + "." + TokenSigner.encode(payload())
        let message = Array(signed.utf8)
        let raw = signer.signature(of: message)
        let width = raw.count / 2
        #expect(width == (signer.algorithm == "ES384" ? 48 : 66))
        let order: [UInt8] =
            width == 48
            ? bytes("ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973")
            : bytes(
                "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03"
                    + "bb5c9b8899c47aebb6fb71e91386409")
        #expect(order.count == width)
        let zero = [UInt8](repeating: 0, count: width), all = [UInt8](repeating: 0xff, count: width)
        let r = Array(raw[..<width]), s = Array(raw[width...])
        #expect(refusal(signed + "." + TokenSigner.encode(raw), keys: signer.keySet.keys) == nil)
        let forged: [[UInt8]] =
            isHalf
            ? [zero + s, order + s, all + s, r + zero, r + order, r + all, Array(raw.dropLast()), raw + [0], [0] + raw]
            : [
                zero + zero, all + all, order + order, s + r, signer.derSignature(of: message), raw + raw,
                Array(raw[..<64]), [UInt8](repeating: 1, count: 2 * width),
            ]
        for signature in forged {
            #expect(
                refusal(signed + "." + TokenSigner.encode(signature), keys: signer.keySet.keys) == .signatureInvalid)
        }
    }

    private func bytes(_ hexadecimal: String) -> [UInt8] {
        stride(from: 0, to: hexadecimal.utf8.count, by: 2).compactMap {
            UInt8(hexadecimal.dropFirst($0).prefix(2), radix: 16)
        }
    }

    @Test func j25J26RawECDSA() {
        let signed = TokenSigner.encode(ec.header) + "." + TokenSigner.encode(payload())
        let message = Array(signed.utf8)
        let raw = ec.signature(of: message)
        let r = Array(raw[..<32]), s = Array(raw[32...])
        let order: [UInt8] = [
            0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
        ]
        let zero = [UInt8](repeating: 0, count: 32), all = [UInt8](repeating: 0xff, count: 32)
        #expect(refusal(signed + "." + TokenSigner.encode(raw), keys: ec.keySet.keys) == nil)
        let forged: [[UInt8]] = [
            zero + zero, zero + s, r + zero, order + s, r + order, all + s, r + all, all + all, order + order,
            Array(raw.dropLast()), Array(raw.dropFirst()), raw + [0], [0] + raw, [0] + r + [0] + s, s + r,
            ec.derSignature(of: message), [0x30, 6, 2, 1, 0, 2, 1, 0], [1], zero + zero + zero,
        ]
        for signature in forged {
            #expect(refusal(signed + "." + TokenSigner.encode(signature), keys: ec.keySet.keys) == .signatureInvalid)
        }
    }

    /// n - s is a signature too: another token, equally good.
    @Test func j27HighS() {
        let signed = TokenSigner.encode(ec.header) + "." + TokenSigner.encode(payload())
        let raw = ec.signature(of: Array(signed.utf8))
        let order: [UInt8] = [
            0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
        ]
        var twin = [UInt8](repeating: 0, count: 32)
        var borrow = 0
        for i in (0..<32).reversed() {
            let difference = Int(order[i]) - Int(raw[32 + i]) - borrow
            borrow = difference < 0 ? 1 : 0
            twin[i] = UInt8(truncatingIfNeeded: difference)
        }
        #expect(refusal(signed + "." + TokenSigner.encode(raw[..<32] + twin), keys: ec.keySet.keys) == nil)
    }

    @Test func j28RSALength() {
        let signed = TokenSigner.encode(rsa.header) + "." + TokenSigner.encode(payload())
        let raw = rsa.signature(of: Array(signed.utf8))
        for signature in [
            Array(raw.dropLast()), Array(raw.dropFirst()), [0] + raw, raw + [0], [1], [UInt8](repeating: 0, count: 256),
        ] {
            #expect(refusal(signed + "." + TokenSigner.encode(signature)) == .signatureInvalid)
        }
    }

    @Test func j30Edwards() {
        let signed = TokenSigner.encode(edwards.header) + "." + TokenSigner.encode(payload())
        let raw = edwards.signature(of: Array(signed.utf8))
        // S + L: the same number modulo the group's order, 2^252 + 27742317777372353535851937790883648493, little-endian.
        let order: [UInt8] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ]
        var malleable = raw
        var carry = 0
        for i in 0..<32 {
            let sum = Int(raw[32 + i]) + Int(order[i]) + carry
            malleable[32 + i] = UInt8(truncatingIfNeeded: sum)
            carry = sum >> 8
        }
        let smallOrder = [1] + [UInt8](repeating: 0, count: 31)
        for signature in [
            malleable, Array(raw.dropLast()), raw + [0], [UInt8](repeating: 0, count: 64), smallOrder + raw[32...],
            smallOrder + smallOrder,
        ] {
            #expect(
                refusal(signed + "." + TokenSigner.encode(signature), keys: edwards.keySet.keys) == .signatureInvalid)
        }
    }

    @Test func j31ToJ33KeysFromTheToken() {
        let own = String(decoding: TokenSigner.otherRSA.key.jwks, as: UTF8.self).dropFirst(9).dropLast(3)
        for more in [
            #","jwk":\#(own)"#, #","jku":"http://127.0.0.1:1/k""#, #","x5u":"file:///etc/passwd""#, #","x5c":["MIIB"]"#,
        ] {
            let forged = TokenSigner.otherRSA.token(header: header("RS256", rsa.key.kid, more), payload())
            #expect(refusal(forged) == .signatureInvalid, "\(more)")
            let unknown = TokenSigner.otherRSA.token(
                header: header("RS256", TokenSigner.otherRSA.key.kid, more), payload())
            #expect(refusal(unknown) == .keyUnknown, "\(more)")
        }
    }

    @Test(arguments: [
        #""../../dev/null""#, #""' OR 1=1""#, #""https://x/""#, "1", "[]", "null", "true", #""""#, #"{"a":1}"#,
    ])
    func j34J35KeyNames(_ kid: String) {
        #expect(refusal(rsa.token(header: #"{"alg":"RS256","kid":\#(kid)}"#, payload())) == .keyUnknown)
    }

    @Test func j34LongKeyName() {
        let name = String(repeating: "k", count: 257)
        let keys = [JSONWebKey(rsa.keySet.keys[0].material, id: name)]
        #expect(refusal(rsa.token(header: header("RS256", name), payload()), keys: keys) == .keyUnknown)
        let fit = [JSONWebKey(rsa.keySet.keys[0].material, id: String(name.dropLast()))]
        #expect(refusal(rsa.token(header: header("RS256", String(name.dropLast())), payload()), keys: fit) == nil)
    }

    /// One verifier reads many headers: what the last one said says nothing about the next.
    @Test func headersInTurn() {
        var keys = KeySet()
        keys.replace(with: JSONWebKeySet(keys: rsa.keySet.keys + ec.keySet.keys))
        var verifier = TokenVerifier()
        let good = rsa.token(payload()), other = ec.token(payload())
        let signature = good.split(separator: ".")[2]
        let forged = TokenSigner.encode(#"{"alg":"RS256","kid":"x"}"#) + "." + TokenSigner.encode(payload()) + "."
        let cases: [(String, TokenRefusal?)] = [
            (good, nil), (good, nil), (forged + signature, .keyUnknown), (good, nil), (other, nil), (other, nil),
            ("e30." + good.split(separator: ".").dropFirst().joined(separator: "."), .algorithmNotAllowed),
            (good, nil), ("AAAA." + TokenSigner.encode(payload()) + ".AAAA", .malformed),
            ("AAAA." + TokenSigner.encode(payload()) + ".AAAA", .malformed), (good, nil),
            ("!!!!." + TokenSigner.encode(payload()) + ".AAAA", .malformed), (other, nil),
        ]
        for (token, expected) in cases {
            let bytes = Array(token.utf8)
            var found: TokenRefusal?
            do throws(TokenRefusal) {
                let claims = try UnverifiedClaims.decode(bytes.span, maximumBytes: 8192)
                _ = try verifier.verify(
                    claims, of: bytes.span, keys: keys, rules: demoRules, digest: SHA256(), now: now)
            } catch { found = error }
            #expect(found == expected, "\(token)")
        }
    }

    @Test func j36NoKeyName() {
        let token = rsa.token(header: #"{"alg":"RS256"}"#, payload())
        let others = (0..<8).map { JSONWebKey(TokenSigner.otherRSA.keySet.keys[0].material, id: "\($0)") }
        #expect(refusal(token, keys: ec.keySet.keys + others.dropLast() + rsa.keySet.keys) == nil)
        #expect(refusal(token, keys: others + rsa.keySet.keys) == .signatureInvalid)
        #expect(refusal(token, keys: ec.keySet.keys) == .algorithmKeyMismatch)
        #expect(refusal(token, keys: []) == .keyUnknown)
    }

    /// Two keys of one name (a careless rotation): both are tried.
    @Test func sameNameTwice() {
        let name = "2026"
        let keys = [TokenSigner.otherRSA, rsa].map { JSONWebKey($0.keySet.keys[0].material, id: name) }
        #expect(refusal(rsa.token(header: header("RS256", name), payload()), keys: keys) == nil)
    }

    @Test(arguments: ["[]", #"["exp"]"#, #"["b64"]"#, "1", "null", #""exp""#, #"["x","x"]"#, "{}"])
    func j37Critical(_ value: String) {
        #expect(
            refusal(rsa.token(header: header("RS256", rsa.key.kid, #","crit":\#(value)"#), payload()))
                == .criticalExtension)
    }

    @Test(arguments: [
        (#""at+jwt""#, true), (#""AT+JWT""#, true), (#""application/at+jwt""#, true), (#""Application/JWT""#, true),
        (#""JWT""#, true),
        (#""a\u0074+jwt""#, true), (#""logout+jwt""#, false), (#""dpop+jwt""#, false), (#""""#, false), ("1", false),
        ("null", false),
        (#"["JWT"]"#, false), (#""application/""#, false), (#""JWTS""#, false), (#""text/jwt""#, false),
    ])
    func j38Types(_ type: String, _ isAllowed: Bool) {
        let token = rsa.token(header: header("RS256", rsa.key.kid, #","typ":\#(type)"#), payload())
        #expect(refusal(token) == (isAllowed ? nil : .typeNotAllowed))
    }

    @Test func j38OnlyAccessTokens() {
        var rules = demoRules
        rules.types = [Array("at+jwt".utf8)]
        rules.allowsMissingType = false
        #expect(refusal(rsa.token(payload(), type: "JWT"), rules: rules) == .typeNotAllowed)
        #expect(refusal(rsa.token(header: rsa.header, payload()), rules: rules) == .typeNotAllowed)
        #expect(refusal(rsa.token(payload(), type: "at+jwt"), rules: rules) == nil)
    }

    @Test(arguments: ["JWT", "jwt", "application/jwt"]) func j39Nested(_ type: String) {
        #expect(
            refusal(rsa.token(header: header("RS256", rsa.key.kid, #","cty":"\#(type)""#), payload()))
                == .unsupportedHeader)
    }

    /// The first thing that is wrong is the one that is told.
    @Test func order() {
        let wrong = #"{"alg":"none","typ":"x","crit":[],"zip":"DEF","kid":"?"}"#
        #expect(refusal(rsa.token(header: wrong, "x")) == .algorithmNotAllowed)
        #expect(refusal(rsa.token(header: wrong.replacing("none", with: "RS256"), "x")) == .typeNotAllowed)
        #expect(
            refusal(rsa.token(header: #"{"alg":"RS256","crit":[],"zip":"DEF","kid":"?"}"#, "x")) == .criticalExtension)
        #expect(refusal(rsa.token(header: #"{"alg":"RS256","zip":"DEF","kid":"?"}"#, "x")) == .unsupportedHeader)
        #expect(refusal(rsa.token(header: #"{"alg":"RS256","kid":"?"}"#, "x")) == .keyUnknown)
        // A forged payload is never read: not even its grammar is told.
        #expect(refusal(TokenSigner.otherRSA.token(header: rsa.header, "x")) == .signatureInvalid)
        #expect(refusal(rsa.token(header: rsa.header, "x")) == .malformed)
    }

    @Test func j67KeysNotHereYet() {
        #expect(refusal(rsa.token(payload()), keys: [], isComplete: false) == .keysUnavailable)
        #expect(
            refusal(rsa.token(header: #"{"alg":"RS256"}"#, payload()), keys: [], isComplete: false) == .keysUnavailable)
        #expect(refusal(rsa.token(payload()), keys: ec.keySet.keys, isComplete: false) == .keysUnavailable)
        #expect(refusal(rsa.token(payload()), isComplete: false) == nil)
        // What can be judged without keys is judged.
        #expect(refusal("x", keys: [], isComplete: false) == .malformed)
        #expect(
            refusal(rsa.token(header: #"{"alg":"none"}"#, payload()), keys: [], isComplete: false)
                == .algorithmNotAllowed)
    }
}
