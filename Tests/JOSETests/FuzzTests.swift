// Mutations of good tokens, headers, claims and key sets: nothing traps, and what is believed, a plain and strict reference
// would believe too. FUZZ_ROUNDS=100 runs a hundred times as long, FUZZ_SEED=7 another way.
import Bytes
import Foundation
import JOSE
import JSON
import SeededRandom
import Testing
import TokenSigning

struct FuzzTests {
    private static let secret = [UInt8]("32 bytes, known to the test alone".utf8)
    private static let key = JSONWebKey(.secret(secret), id: "k")

    private let rounds: Int
    private let seed: UInt64

    init() {
        let environment = ProcessInfo.processInfo.environment
        rounds = 3000 * (environment["FUZZ_ROUNDS"].flatMap(Int.init) ?? 1)
        seed = environment["FUZZ_SEED"].flatMap(UInt64.init) ?? 20_261_125
    }

    /// What means something to readers of JSON or of tokens, rather than random bytes alone.
    private static let splices = [
        "\"", "\\", "{", "}", "[", "]", ",", ":", " ", "\t", "\0", "\\u0065", "\\ud83d\\ude00", "\\ud800", "é",
        "\u{feff}",
        "-", "0", "1e3", ".5", "e-1", "E+2", "1795000000", "999999999999999999999", "null", "true", "{}", "[]", "\"x\"",
        "\"exp\":0,", "\"sub\":\"b\",", "\"aud\":[\"x\",\"api\"],", "\"\\u0069ss\":1,", "\"crit\":[],",
        "\"alg\":\"none\",",
        "\"typ\":\"JWT\",", "\"b64\":false,", "\"zip\":\"DEF\",", "\"cty\":\"JWT\",", "\"kid\":\"k\",", "[[[[[[[[",
        "}}",
        "HS512", "at+jwt", "application/", "A", "AA", "=", "-_", ".",
    ].map { Array($0.utf8) }

    private static func mutate(_ text: String, _ random: inout SeededGenerator) -> [UInt8] {
        var bytes = Array(text.utf8)
        for _ in 0..<1 + random.below(3) where !bytes.isEmpty {
            let at = random.below(bytes.count)
            switch random.below(6) {
            case 0: bytes[at] = UInt8(random.below(256))
            case 1: bytes.remove(at: at)
            case 2: bytes.insert(contentsOf: splices[random.below(splices.count)], at: at)
            case 3: bytes.removeSubrange(at..<min(bytes.count, at + random.below(8)))
            case 4:
                let copied = bytes[at..<min(bytes.count, at + random.below(40))]
                bytes.insert(contentsOf: copied, at: random.below(bytes.count))
            default: bytes[at] ^= 0x20
            }
        }
        return bytes
    }

    private static func signed(_ header: [UInt8], _ payload: [UInt8]) -> String {
        let text = TokenSigner.encode(header) + "." + TokenSigner.encode(payload)
        return text + "." + TokenSigner.encode(TokenSigner.hmac(text, secret: secret))
    }

    private static let rules: TokenRules = {
        var rules = demoRules
        rules.algorithms = [.hs256, .es256]
        rules.maximumBytes = 1 << 20
        return rules
    }()

    /// Judges many tokens with one verifier, as a worker does.
    private struct Judge: ~Copyable {
        private var keys = KeySet()
        private var verifier = TokenVerifier()

        init(_ keys: [JSONWebKey]) { self.keys.replace(with: JSONWebKeySet(keys: keys)) }

        mutating func accepts(_ token: String, _ rules: TokenRules = FuzzTests.rules) -> Bool {
            let bytes = Array(token.utf8)
            do throws(TokenRefusal) {
                let claims = try UnverifiedClaims.decode(bytes.span, maximumBytes: rules.maximumBytes)
                _ = try verifier.verify(claims, of: bytes.span, keys: keys, rules: rules, digest: SHA256(), now: now)
                return true
            } catch {
                return false
            }
        }
    }

    // Compact tokens

    /// Nobody but us signs, so a token that is believed says exactly what one of ours says.
    @Test(.timeLimit(.minutes(60))) func compactTokens() {
        var random = SeededGenerator(seed: seed)
        let signers: [TokenSigner] = [.ec, .edwards, .rsa]
        var judge = Judge(signers.flatMap(\.keySet.keys) + [Self.key])
        var good = signers.map { $0.token(payload()) }
        good.append(Self.signed(Array(#"{"alg":"HS256","kid":"k"}"#.utf8), Array(payload().utf8)))
        var rules = Self.rules
        rules.algorithms = SignatureAlgorithm.allCases
        let inputs = good.map { $0.split(separator: ".").dropLast().joined(separator: ".") }
        for token in good {
            let isBelieved = judge.accepts(token, rules)
            #expect(isBelieved)
        }
        for _ in 0..<rounds / 4 {
            let original = good[random.below(good.count)]
            let token = String(decoding: Self.mutate(original, &random), as: UTF8.self)
            guard token != original, judge.accepts(token, rules) else { continue }
            let isOurs = inputs.contains(String(token.split(separator: ".").dropLast().joined(separator: ".")))
            #expect(isOurs, "seed \(seed): \(token)")
        }
        #expect(TokenSigner.errorQueueIsEmpty)
    }

    /// Correctly signed headers of every kind.
    @Test(.timeLimit(.minutes(60))) func headers() {
        var random = SeededGenerator(seed: seed &+ 1)
        var judge = Judge([Self.key])
        let good = [
            #"{"alg":"HS256","kid":"k","typ":"at+jwt"}"#, #"{"alg":"HS256"}"#,
            #"{ "typ" : "application\/JWT", "alg" : "HS256", "x" : [1, {"y":[]}], "cty":"text" }"#,
        ]
        var accepted = 0
        for _ in 0..<rounds {
            let header = Self.mutate(good[random.below(good.count)], &random)
            let isBelieved = judge.accepts(Self.signed(header, Array(payload().utf8)))
            #expect(isBelieved == Self.isGood(header: header), Self.message(seed, header))
            accepted += isBelieved ? 1 : 0
        }
        #expect(accepted > 0)
    }

    private static func isGood(header: [UInt8]) -> Bool {
        guard let header = ReferenceJSON(header), header.isObject, header["alg"]?.text == "HS256" else { return false }
        if let kid = header["kid"], kid.text != "k" { return false }
        if let type = header["typ"] {
            guard let text = type.text, isType(text, ["at+jwt", "jwt"]) else { return false }
        }
        if let content = header["cty"]?.text, isType(content, ["jwt"]) { return false }
        return ["crit", "b64", "zip"].allSatisfy { header[$0] == nil }
    }

    private static func isType(_ text: String, _ types: [String]) -> Bool {
        // Letters outside ASCII that fold into it are other letters.
        guard text.utf8.allSatisfy({ $0 < 0x80 }) else { return false }
        let lower = text.lowercased()
        return types.contains(lower) || types.contains { lower == "application/" + $0 }
    }

    // Claims

    @Test(.timeLimit(.minutes(60))) func claims() {
        var random = SeededGenerator(seed: seed &+ 2)
        var judge = Judge([Self.key])
        let header = Array(#"{"alg":"HS256"}"#.utf8)
        let good = [
            payload(), payload(["aud": #"["x","api"]"#, "nbf": "\(now).5", "x": #"{"a":[1,{"b":null}]}"#]),
            payload(["exp": "1.7950006e9", "iat": nil, "sub": #""\u0061\n\ud83d\ude00""#]),
            " { \"iss\" : \"https:\\/\\/issuer.example\" , \"aud\":\"other-api\",\"sub\":\"s\",\"exp\":\(now + 9) } ",
        ]
        var accepted = 0
        for claims in good {
            let isBelieved = judge.accepts(Self.signed(header, Array(claims.utf8)))
            #expect(isBelieved)
        }
        for _ in 0..<rounds {
            let claims = Self.mutate(good[random.below(good.count)], &random)
            let isBelieved = judge.accepts(Self.signed(header, claims))
            if let expected = Self.areGood(claims: claims) {
                #expect(isBelieved == expected, Self.message(seed, claims))
            }
            accepted += isBelieved ? 1 : 0
        }
        #expect(accepted > 0)
    }

    /// Nil where the reference cannot count that far.
    private static func areGood(claims: [UInt8]) -> Bool? {
        guard let claims = ReferenceJSON(claims), claims.isObject else { return false }
        guard claims["iss"]?.text == "https://issuer.example" else { return false }
        let audience = claims["aud"]?.elements ?? claims["aud"].map { [$0] } ?? []
        guard audience.contains(where: { ["api", "other-api"].contains($0.text) }) else { return false }
        guard let subject = claims["sub"]?.text, !subject.isEmpty else { return false }
        var dates: [String: Decimal] = [:]
        for name in ["exp", "nbf", "iat"] {
            guard let value = claims[name] else { continue }
            guard case .number(let text) = value else { return false }
            let exponent = text.lowercased().split(separator: "e").dropFirst().first.flatMap { Int($0) } ?? 0
            guard text.utf8.count < 30, abs(exponent) < 60, let number = Decimal(string: text) else { return nil }
            guard abs(number) < Decimal(string: "1e18")! else { return false }
            dates[name] = number
        }
        let time = Decimal(now)
        guard let expires = dates["exp"], time < expires + 30 else { return false }
        for name in ["nbf", "iat"] {
            if let start = dates[name], time < start - 30 { return false }
        }
        return ceiling(expires) - (dates["iat"].map(ceiling) ?? time) <= 86_400
    }

    private static func ceiling(_ number: Decimal) -> Decimal {
        var (value, result) = (number, Decimal())
        NSDecimalRound(&result, &value, 0, number < 0 ? .down : .up)
        return number < 0 && result < number ? result + 1 : result
    }

    // Key sets

    @Test(.timeLimit(.minutes(60))) func keySets() {
        var random = SeededGenerator(seed: seed &+ 3)
        let secret = #"{"kty":"oct","kid":"s","k":"\#(TokenSigner.encode(Self.secret))","alg":"HS256"}"#
        let keys = [TokenSigner.rsa, .ec, .p384, .p521, .edwards].map {
            String(String(decoding: $0.key.jwks, as: UTF8.self).dropFirst(9).dropLast(3))
        }
        let good = [
            "{\"keys\":[\(keys[0]),\(secret)]}", "{\"keys\":[\(keys[1]),\(keys[2])]}", "{\"keys\":[\(keys[4])]}",
            "{\"x\":1,\"keys\":[\(keys[3]),{\"kty\":\"EC\",\"key_ops\":[\"verify\"]}]}",
        ]
        var taken = 0
        for _ in 0..<rounds / 2 {
            let document = Self.mutate(good[random.below(good.count)], &random)
            for isLocal in [false, true] {
                let found = try? JSONWebKeySet.parse(document.span, isLocal: isLocal)
                let reference = ReferenceJSON(document, members: 4096)
                let entries = reference?["keys"]?.elements
                #expect((found == nil) == (entries == nil), Self.message(seed, document))
                guard let found, let entries else { continue }
                #expect(found.keys.count + found.skipped.count + found.foreignIDs.count <= entries.count)
                for key in found.keys {
                    let isTold = entries.contains { Self.tells(of: key, $0, isLocal: isLocal) }
                    #expect(isTold, Self.message(seed, document))
                }
                taken += found.keys.count
                var set = KeySet()
                set.replace(with: found)
                #expect(set.count <= found.keys.count)
            }
        }
        #expect(taken > 0)
        #expect(TokenSigner.errorQueueIsEmpty)
    }

    /// Whether this member of a set describes that key, and may.
    private static func tells(of key: JSONWebKey, _ entry: ReferenceJSON, isLocal: Bool) -> Bool {
        guard entry["kid"]?.text == key.id, entry["use"].map({ $0.text == "sig" }) ?? true else { return false }
        if let operations = entry["key_ops"] {
            guard operations.elements?.contains(where: { $0.text == "verify" }) ?? false else { return false }
        }
        for name in ["d", "p", "q", "dp", "dq", "qi", "oth"] where entry[name] != nil { return false }
        if let algorithm = key.algorithm {
            let said = entry["alg"]?.text
            guard said == algorithm.name || (algorithm == .eddsa && (said == "Ed25519" || said == "Ed448")),
                algorithm.fits(key.material)
            else { return false }
        } else if entry["alg"] != nil {
            return false
        }
        let members = { (names: [String]) in names.map { entry[$0]?.text } }
        switch key.material {
        case .rsa(let n, let e):
            // A leading zero more is the same number.
            let said = members(["kty", "n", "e"])
            return said[0] == "RSA" && number(said[1]) == n && number(said[2]) == e && n.count >= 256 && e.count >= 3
        case .ec(let curve, let x, let y):
            return members(["kty", "crv", "x", "y"]) == [
                "EC", "\(curve.name)", TokenSigner.encode(x), TokenSigner.encode(y),
            ]
        case .ed25519(let x): return members(["kty", "crv", "x"]) == ["OKP", "Ed25519", TokenSigner.encode(x)]
        case .ed448(let x): return members(["kty", "crv", "x"]) == ["OKP", "Ed448", TokenSigner.encode(x)]
        case .secret(let k):
            return isLocal && k.count >= 32 && members(["kty", "k"]) == ["oct", TokenSigner.encode(k)]
        }
    }

    private static func number(_ text: String?) -> [UInt8]? {
        guard let text else { return nil }
        var buffer = ByteBuffer(capacity: text.utf8.count)
        guard Base64URL.decode(Array(text.utf8).span, into: &buffer) else { return nil }
        let bytes = buffer.bytes
        return bytes.indices.map { bytes[$0] }.drop { $0 == 0 }.map { $0 }
    }

    // Cost

    /// Eight times the bytes take eight times as long and no more, whatever they are; 32 leaves room for caches.
    @Test func readingIsLinear() {
        let makers: [(Int) -> String] = [
            { "{\"a\":\"" + String(repeating: "\\u0061", count: $0 / 6) + "\"}" },
            { "{\"a\":\"" + String(repeating: "é", count: $0 / 2) + "\"}" },
            { "{\"a\":" + String(repeating: "9", count: $0) + "}" },
            { "{\"exp\":0." + String(repeating: "9", count: $0) + "e-1}" },
            { "{\"a\":[" + String(repeating: "[],", count: $0 / 3) + "0]}" },
            { "{\"a\":[" + String(repeating: "\"\",", count: $0 / 3) + "0]" + String(repeating: " ", count: $0) + "}" },
            { String(repeating: "[", count: $0) },
            { "{\"aud\":[" + String(repeating: "\"ap\",", count: $0 / 5) + "\"api\"]}" },
        ]
        for (number, make) in makers.enumerated() {
            let small = fastest(of: 5, Self.signed(Array(#"{"alg":"HS256"}"#.utf8), Array(make(8_000).utf8)))
            let large = fastest(of: 3, Self.signed(Array(#"{"alg":"HS256"}"#.utf8), Array(make(64_000).utf8)))
            #expect(large < small * 32, "maker \(number): \(small), then \(large)")
        }
        let dots = { (count: Int) in String(repeating: ".", count: count) }
        #expect(fastest(of: 3, dots(800_000)) < fastest(of: 5, dots(100_000)) * 32 + .milliseconds(1))
    }

    private func fastest(of times: Int, _ token: String) -> Duration {
        var judge = Judge([Self.key])
        var best = Duration.seconds(3600)
        for _ in 0..<times {
            let begun = Self.processorTime
            _ = judge.accepts(token)
            best = min(best, Self.processorTime - begun)
        }
        return best
    }

    /// Of this thread: what neighbours take does not count.
    private static var processorTime: Duration {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }

    private static func message(_ seed: UInt64, _ document: [UInt8]) -> Comment {
        "seed \(seed): \(String(decoding: document, as: UTF8.self).debugDescription)"
    }
}
