// One imported key with a verification context that is initialised once and serves every token. Owns the OpenSSL contexts
// and frees them in deinit; pointers of spans are used within one call.
import Bytes
import COpenSSL
import JSON

/// A class, because key sets share and keep keys when they are replaced; it is only touched when a signature is checked.
@safe final class VerifyingKey {
    let described: JSONWebKey
    /// `kid` as it stands in a token.
    let id: [UInt8]?
    /// Names this key for as long as the key set lives; never used again after it was withdrawn.
    let serial: UInt32
    /// Bytes of each signature: no other length is one (RFC 8017 section 8.2.2 step 1, RFC 7518 section 3.4, RFC 8032).
    private let signatureCount: Int
    /// What its signatures are, and on which Edwards curve.
    private let algorithm: SignatureAlgorithm
    private let curve: RequestedAlgorithm.Curve
    private let key: PublicKey
    /// For digests; nil for Edwards keys.
    private let digestContext: OpaquePointer?
    /// For messages; nil for all others.
    private let messageContext: OpaquePointer?

    /// Nil when the library cannot take the key.
    init?(_ described: JSONWebKey, serial: UInt32) {
        guard let key = PublicKey.importing(described.material) else { return nil }
        self.described = described
        self.serial = serial
        id = described.id.map { Array($0.utf8) }
        switch described.material {
        case .rsa(let modulus, _): (signatureCount, algorithm, curve) = (modulus.count, .rs256, .any)
        case .p256: (signatureCount, algorithm, curve) = (64, .es256, .any)
        case .ed25519: (signatureCount, algorithm, curve) = (64, .eddsa, .ed25519)
        case .ed448: (signatureCount, algorithm, curve) = (114, .eddsa, .ed448)
        }
        switch algorithm {
        case .rs256, .es256:
            unsafe digestContext = unsafe co_verifier(key.pointer, algorithm == .rs256 ? 1 : 0)
            unsafe messageContext = nil
        case .eddsa:
            unsafe digestContext = nil
            unsafe messageContext = unsafe EVP_MD_CTX_new()
        }
        self.key = key
        if unsafe digestContext == nil && messageContext == nil { return nil }
    }
    deinit {
        unsafe EVP_PKEY_CTX_free(digestContext)
        unsafe EVP_MD_CTX_free(messageContext)
    }

    /// Whether signatures of that algorithm can be this key's: one key, one algorithm (RFC 8725 section 3.1).
    func fits(_ requested: RequestedAlgorithm) -> Bool {
        guard requested.algorithm.rawValue == algorithm.rawValue else { return false }
        guard requested.curve == .any || requested.curve.rawValue == curve.rawValue else { return false }
        guard let only = described.algorithm else { return true }
        return only.rawValue == algorithm.rawValue
    }

    /// Whether a token's `kid` is that of this key.
    func isNamed(_ keyID: JSONEvent, in header: borrowing Span<UInt8>) -> Bool {
        guard let id else { return false }
        return keyID.equals(id.span, in: header)
    }

    /// `digest` is the SHA-256 of `message`.
    func verify(
        _ signature: borrowing Span<UInt8>, of message: borrowing Span<UInt8>, digest: inout SHA256Value
    ) -> Bool {
        guard signature.count == signatureCount else { return false }
        switch algorithm {
        case .rs256: return verifyDigest(signature, &digest)
        case .es256:
            var encoded = ECDSASignature()
            return encoded.encode(signature) && verifyDigest(encoded.bytes, &digest)
        case .eddsa: return verifyMessage(signature, message)
        }
    }

    private func verifyDigest(_ signature: borrowing Span<UInt8>, _ digest: inout SHA256Value) -> Bool {
        guard let context = unsafe digestContext else { return false }
        return unsafe signature.withUnsafeBufferPointer { s in
            unsafe withUnsafeBytes(of: &digest.words) { d in
                unsafe co_verify_digest(context, s.baseAddress, s.count, d.baseAddress) == 1
            }
        }
    }

    private func verifyMessage(_ signature: borrowing Span<UInt8>, _ message: borrowing Span<UInt8>) -> Bool {
        guard let context = unsafe messageContext else { return false }
        return unsafe signature.withUnsafeBufferPointer { s in
            unsafe message.withUnsafeBufferPointer { m in
                unsafe co_verify_message(context, key.pointer, s.baseAddress, s.count, m.baseAddress, m.count) == 1
            }
        }
    }
}
