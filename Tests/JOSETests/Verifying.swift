// One call for all tests of the pure verifier: a token, keys and rules in, a refusal or nil out.
import Bytes
import JOSE
import JSON
import TokenSigning

/// A Wednesday in 2026; every token of the tests is made around it.
let now: Int64 = 1_795_000_000

let demoRules: TokenRules = {
    var rules = TokenRules()
    rules.algorithms = SignatureAlgorithm.asymmetric
    rules.types = [Array("at+jwt".utf8), Array("jwt".utf8)]
    rules.issuer = Array("https://issuer.example".utf8)
    rules.audience = [Array("api".utf8), Array("other-api".utf8)]
    rules.require(["exp", "sub"])
    rules.maximumLifetime = 86_400
    return rules
}()

/// A payload that the rules accept, with members replaced or (by nil) left out.
func payload(_ changes: [String: String?] = [:]) -> String {
    var members: [(String, String)] = [
        ("iss", "\"https://issuer.example\""), ("aud", "\"api\""), ("sub", "\"alice\""), ("exp", "\(now + 600)"),
        ("iat", "\(now - 10)"), ("permissions", "[\"read:data\"]"),
    ]
    for (name, value) in changes {
        members.removeAll { $0.0 == name }
        if let value { members.append((name, value)) }
    }
    return "{" + members.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ",") + "}"
}

/// What the claims of a good token are read as.
struct Outcome: Equatable {
    var subject: String?
    var goodFrom: Int64
    var goodUntil: Int64
}

func outcome(
    _ token: [UInt8], keys: [JSONWebKey], rules: TokenRules = demoRules, isComplete: Bool = true, at time: Int64 = now,
    foreignIDs: [String] = []
) throws(TokenRefusal) -> Outcome {
    var set = KeySet()
    set.replace(with: JSONWebKeySet(keys: keys, foreignIDs: foreignIDs))
    set.isComplete = isComplete
    var verifier = TokenVerifier()
    let digest = SHA256()
    defer { precondition(TokenSigner.errorQueueIsEmpty, "an error was left in the queue of the TLS library") }
    let claims = try UnverifiedClaims.decode(token.span, maximumBytes: rules.maximumBytes)
    let verified = try verifier.verify(claims, of: token.span, keys: set, rules: rules, digest: digest, now: time)
    let document = verified.payload
    return Outcome(
        subject: verified.subject?.text(of: document), goodFrom: verified.goodFrom, goodUntil: verified.goodUntil)
}

/// Nil for a token that is believed.
func refusal(
    _ token: String, keys: [JSONWebKey] = TokenSigner.rsa.keySet.keys, rules: TokenRules = demoRules,
    isComplete: Bool = true, at time: Int64 = now, foreignIDs: [String] = []
) -> TokenRefusal? {
    do throws(TokenRefusal) {
        _ = try outcome(
            Array(token.utf8), keys: keys, rules: rules, isComplete: isComplete, at: time,
            foreignIDs: foreignIDs)
        return nil
    } catch { return error }
}

extension TokenSigner {
    var header: String { #"{"alg":"\#(algorithm)","kid":"\#(key.kid)"}"# }
}
