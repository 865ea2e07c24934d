// The public half of a signing key as the world sees it: a JSON Web Key (RFC 7517) named by its thumbprint (RFC 7638).
import Foundation

/// A public key for signatures; members that a key type does not have are absent.
struct PublicJWK: Sendable, Encodable, Equatable {
    enum KeyType: String, Encodable {
        case rsa = "RSA"
        case elliptic = "EC"
        case octetPair = "OKP"
    }

    let kty: KeyType
    let alg: String
    var crv: String?
    // RSA (RFC 7518 §6.3.1), then curves (§6.2.1, RFC 8037 §2): big-endian octets in base64url.
    var n: String?
    var e: String?
    var x: String?
    var y: String?
    let use = "sig"

    static func rsa(modulus: Data, exponent: Data) -> PublicJWK {
        PublicJWK(kty: .rsa, alg: "RS256", n: Base64URL.encode(modulus), e: Base64URL.encode(exponent))
    }

    static func p256(x: Data, y: Data) -> PublicJWK {
        PublicJWK(kty: .elliptic, alg: "ES256", crv: "P-256", x: Base64URL.encode(x), y: Base64URL.encode(y))
    }

    static func ed25519(_ point: Data) -> PublicJWK {
        PublicJWK(kty: .octetPair, alg: "EdDSA", crv: "Ed25519", x: Base64URL.encode(point))
    }

    /// SHA-256 over the required members alone, in lexicographic order, without blanks (RFC 7638 §3.3).
    var thumbprint: String {
        let required: [(String, String?)] = [
            ("crv", crv), ("e", e), ("kty", kty.rawValue), ("n", n), ("x", x), ("y", y),
        ]
        let members = required.compactMap { name, value in value.map { "\"\(name)\":\"\($0)\"" } }
        let text = "{" + members.joined(separator: ",") + "}"
        return Base64URL.encode(Data(sha256Of: text))
    }

    private enum Member: String, CodingKey { case kty, alg, crv, n, e, x, y, use, kid }

    func encode(to encoder: any Encoder) throws {
        var members = encoder.container(keyedBy: Member.self)
        try members.encode(kty, forKey: .kty)
        try members.encode(alg, forKey: .alg)
        try members.encode(use, forKey: .use)
        try members.encode(thumbprint, forKey: .kid)
        try members.encodeIfPresent(crv, forKey: .crv)
        try members.encodeIfPresent(n, forKey: .n)
        try members.encodeIfPresent(e, forKey: .e)
        try members.encodeIfPresent(x, forKey: .x)
        try members.encodeIfPresent(y, forKey: .y)
    }
}

/// A JWK Set (RFC 7517 §5).
struct PublicJWKSet: Sendable, Encodable {
    let keys: [PublicJWK]
}
