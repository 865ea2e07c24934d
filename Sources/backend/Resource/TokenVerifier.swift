// The resource service's own check of an access token: it trusts the key and nobody else, not even the gateway.
import Crypto
import Foundation
import HTTPTypes
import JWTKit

/// Keys that are believed at the moment; they may be exchanged while the process runs.
protocol VerificationKeys: Sendable {
    var verificationKeys: [VerificationKey] { get }
}

/// Who calls, as a verified token says.
struct Principal: Sendable {
    let subject: String
    let name: String?
    let roles: [String]
    let permissions: [String]
    let tokenID: String?
    let session: String?
    /// Seconds since 1970; a token that does not say when it was issued counts as older than any.
    let issuedAt: Int64
    let expires: Int64
    let clientID: String?
}

struct TokenVerifier: Sendable {
    /// The gateway's default: both let a token go at the same moment.
    static let leewaySeconds = 30.0
    /// Longer tokens are not decoded at all (RFC 8725 §3.11 asks for such bounds).
    private static let sizeLimitBytes = 8 * 1024

    let keys: any VerificationKeys
    let issuer: String
    let audience: String
    /// The `typ` of its tokens: none is taken for one of another kind (RFC 8725 §3.11).
    let type: String
    /// Of this verifier alone: another one would have judged otherwise.
    private let verified = VerifiedTokens()

    init(keys: any VerificationKeys, issuer: String, audience: String, type: String = SigningKey.accessTokenType) {
        self.keys = keys
        self.issuer = issuer
        self.audience = audience
        self.type = type
    }

    /// The principal of a correctly signed, current token for this service.
    func verify(_ token: String, now: Date) throws(TokenRefusal) -> Principal {
        guard token.utf8.count <= Self.sizeLimitBytes else { throw .tooLarge }
        let digest = SHA256.hash(data: Data(token.utf8))
        if let verdict = verified.verdict(on: digest) {
            let time = now.timeIntervalSince1970
            if time < verdict.expires + Self.leewaySeconds, verdict.notBefore <= time + Self.leewaySeconds,
                keys.verificationKeys.contains(where: { $0.reading == verdict.key })
            {
                return verdict.principal
            }
            // Whatever became of it is found out, and told, as for any other token.
            verified.forget(digest)
        }
        let verdict = try judge(token, now: now)
        verified.remember(verdict, on: digest)
        return verdict.principal
    }

    /// The same for a token that is good for one use: nothing of it is kept.
    func verifyOnce(_ token: String, now: Date) throws(TokenRefusal) -> Principal {
        guard token.utf8.count <= Self.sizeLimitBytes else { throw .tooLarge }
        return try judge(token, now: now).principal
    }

    private func judge(_ token: String, now: Date) throws(TokenRefusal) -> VerifiedTokens.Verdict {
        let parts = token[...].utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3, let header = Base64URL.decode(parts[0]), let payload = Base64URL.decode(parts[1]),
            let signature = Base64URL.decode(parts[2])
        else { throw .malformed }
        let key = try key(for: JoseObject(header))
        // Before any claim is believed.
        let signed = Data(token.utf8.prefix(parts[0].count + 1 + parts[1].count))
        guard (try? key.algorithm.verify(signature, signs: signed)) == true else { throw .badSignature }
        return try verdict(JoseObject(payload), key.reading, now: now.timeIntervalSince1970)
    }

    /// The key that the header names, when the header asks for nothing that this key does not do.
    private func key(for header: JoseObject) throws(TokenRefusal) -> VerificationKey {
        let known = keys.verificationKeys
        guard !known.isEmpty else { throw .keysUnavailable }
        guard let algorithm = header["alg"], known.contains(where: { $0.algorithmName == algorithm }) else {
            throw .wrongAlgorithm
        }
        // We implement no extension, so a critical one must be refused (RFC 7515 §4.1.11).
        guard !header.has("crit") else { throw .criticalHeader }
        guard let name = header["kid"], let key = known.first(where: { $0.id == name }) else {
            throw .unknownKey
        }
        guard key.algorithmName == algorithm else { throw .wrongAlgorithm }
        let type = header["typ"]?.lowercased()
        guard type == self.type || type == "application/\(self.type)" else { throw .wrongType }
        return key
    }

    private func verdict(
        _ claims: JoseObject, _ key: VerificationKey.Reading, now: Double
    ) throws(TokenRefusal) -> VerifiedTokens.Verdict {
        guard claims["iss"] == issuer else { throw .wrongIssuer }
        guard claims.strings("aud").contains(audience) else { throw .wrongAudience }
        guard claims.has("exp") else { throw .missingClaim }
        guard let expiry = claims.number("exp") else { throw .mistypedClaim }
        guard now < expiry + Self.leewaySeconds else { throw .expired }
        var notBefore = -Double.infinity
        for name in ["nbf", "iat"] where claims.has(name) {
            guard let time = claims.number(name) else { throw .mistypedClaim }
            guard time <= now + Self.leewaySeconds else { throw .notYetValid }
            notBefore = max(notBefore, time)
        }
        guard let subject = claims["sub"], !subject.isEmpty else { throw .missingClaim }
        let principal = Principal(
            subject: subject, name: claims["name"], roles: claims.strings("roles"),
            permissions: claims.strings("permissions"), tokenID: claims["jti"], session: claims["sid"],
            issuedAt: claims.number("iat").flatMap { Int64(exactly: $0.rounded(.down)) } ?? 0,
            expires: Int64(exactly: expiry.rounded(.down)) ?? .max, clientID: claims["client_id"])
        return VerifiedTokens.Verdict(principal: principal, key: key, notBefore: notBefore, expires: expiry)
    }
}

/// A JSON object of a token; members of another type than asked for are as absent.
private struct JoseObject {
    private let members: [String: JSONNode.Value]

    init(_ bytes: Data) throws(TokenRefusal) {
        // The strict parser refuses duplicate members (RFC 7519 §4): two readers must not see two subjects.
        guard let node = try? JSONReader.parse([UInt8](bytes)), case .object(let members) = node.value else {
            throw .malformed
        }
        self.members = Dictionary(uniqueKeysWithValues: members.map { ($0.name, $0.node.value) })
    }

    func has(_ name: String) -> Bool { members[name] != nil }

    subscript(name: String) -> String? {
        guard case .string(let text) = members[name] else { return nil }
        return text
    }

    func number(_ name: String) -> Double? {
        guard case .number(let number) = members[name] else { return nil }
        return number
    }

    /// A string, or an array of strings only.
    func strings(_ name: String) -> [String] {
        switch members[name] {
        case .string(let text): return [text]
        case .array(let nodes):
            let texts = nodes.compactMap { node in
                if case .string(let text) = node.value { text } else { nil }
            }
            return texts.count == nodes.count ? texts : []
        default: return []
        }
    }
}
