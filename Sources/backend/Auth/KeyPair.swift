// New key pairs in PEM, of the three kinds that sign tokens.
import Crypto
import CryptoExtras
import JWTKit

struct KeyPair: Sendable {
    let privatePEM: String
    let publicPEM: String

    /// A new pair for this JWS algorithm: RS256 (2048 bits), ES256 or EdDSA (Ed25519).
    init(algorithm: String) throws(StartupFailure) {
        do {
            switch algorithm {
            case "ES256":
                let key = P256.Signing.PrivateKey()
                (privatePEM, publicPEM) = (key.pemRepresentation, key.publicKey.pemRepresentation)
            case "EdDSA":
                let key = try EdDSA.PrivateKey()
                (privatePEM, publicPEM) = (key.pemRepresentation, key.publicKey.pemRepresentation)
            default:
                let key = try _RSA.Signing.PrivateKey(keySize: .bits2048)
                (privatePEM, publicPEM) = (key.pemRepresentation, key.publicKey.pemRepresentation)
            }
        } catch {
            throw StartupFailure("a key for \(algorithm) cannot be made: \(error)")
        }
    }
}
