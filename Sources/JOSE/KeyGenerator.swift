// Makes signing keys for development: a private key, its public half, and the key set that a gateway reads.
import Bytes
import JSON

package struct GeneratedKey: Sendable {
    /// PKCS#8, no passphrase.
    package var privatePEM: [UInt8]
    /// SubjectPublicKeyInfo.
    package var publicPEM: [UInt8]
    /// A JWK Set with this one public key.
    package var jwks: [UInt8]
    /// The key's RFC 7638 thumbprint.
    package var kid: String
}

package enum KeyGenerator {
    package enum Kind: Sendable, Equatable {
        case rsa(bits: Int)
        case ec(EllipticCurve)
        case ed25519
    }

    /// RFC 7518 section 3.3: at least 2048 bits.
    package static let defaultRSABits = 2048

    /// Takes a good part of a second for large RSA keys.
    package static func generate(_ kind: Kind) throws(JOSEError) -> GeneratedKey {
        if case .rsa(let bits) = kind, !JSONWebKey.modulusBits.contains(bits) {
            throw .unusable("an RSA key has 2048 to 8192 bits, not \(bits)")
        }
        guard let key = PublicKey.generating(kind), let material = key.material else { throw .generation }
        var described = JSONWebKey(material, algorithm: SignatureAlgorithm.allCases.first { $0.fits(material) })
        let kid = described.thumbprint
        described.id = kid
        let generated = GeneratedKey(
            privatePEM: key.pem(isPrivate: true), publicPEM: key.pem(isPrivate: false),
            jwks: JSONWebKeySet(keys: [described]).document, kid: kid)
        guard !generated.privatePEM.isEmpty, !generated.publicPEM.isEmpty else { throw .generation }
        return generated
    }
}
