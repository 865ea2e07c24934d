// One imported public key with verification contexts that are initialised once and serve every token. Owns the OpenSSL contexts
// and frees them in deinit; pointers of spans are used within one call.
import Bytes
import COpenSSL
import JSON

/// A class, because key sets share and keep keys when they are replaced; it is only touched when a signature is checked.
@safe final class VerifyingKey {
    /// What its signatures are made of.
    private enum Scheme {
        case rsa
        case ecdsa(EllipticCurve)
        case edwards(RequestedAlgorithm.Curve)
    }

    let described: JSONWebKey
    /// `kid` as it stands in a token.
    let id: [UInt8]?
    /// Names this key for as long as the key set lives; never used again after it was withdrawn.
    let serial: UInt32
    /// Bytes of each signature: no other length is one (RFC 8017 section 8.2.2 step 1, RFC 7518 section 3.4, RFC 8032).
    private let signatureCount: Int
    private let scheme: Scheme
    private let key: PublicKey
    /// For PKCS #1 signatures of an RSA key, if it has the usual exponent; made with the key, for most are of such keys.
    private let pkcs1: PKCS1Verifier?
    /// For all other digests, made when they are first wanted: an RSA key has one for each of its six algorithms, by their raw values; all
    /// others have one.
    private var contexts = unsafe InlineArray<6, OpaquePointer?>(repeating: nil)
    /// For messages; nil for all but Edwards keys.
    private let messageContext: OpaquePointer?

    /// Nil when the library cannot take the key, and for a secret.
    init?(_ described: JSONWebKey, serial: UInt32) {
        guard let key = PublicKey.importing(described.material) else { return nil }
        self.described = described
        self.serial = serial
        id = described.id.map { Array($0.utf8) }
        switch described.material {
        case .rsa(let modulus, _): (signatureCount, scheme) = (modulus.count, .rsa)
        case .ec(let curve, _, _): (signatureCount, scheme) = (2 * curve.width, .ecdsa(curve))
        case .ed25519: (signatureCount, scheme) = (64, .edwards(.ed25519))
        case .ed448: (signatureCount, scheme) = (114, .edwards(.ed448))
        case .secret: return nil
        }
        if case .edwards = scheme {
            unsafe messageContext = unsafe EVP_MD_CTX_new()
            if unsafe messageContext == nil { return nil }
        } else {
            unsafe messageContext = nil
        }
        if case .rsa = scheme { pkcs1 = PKCS1Verifier(key) } else { pkcs1 = nil }
        self.key = key
    }
    deinit {
        for i in 0..<6 { unsafe EVP_PKEY_CTX_free(contexts[i]) }
        unsafe EVP_MD_CTX_free(messageContext)
    }

    /// Whether signatures of that algorithm can be this key's: one key, one family of algorithms, and only the one that the key
    /// names when it does (RFC 8725 section 3.1).
    func fits(_ requested: RequestedAlgorithm) -> Bool {
        if let only = described.algorithm, only.rawValue != requested.algorithm.rawValue { return false }
        switch scheme {
        case .rsa: return requested.algorithm.rawValue <= SignatureAlgorithm.ps512.rawValue
        case .ecdsa(let curve): return requested.algorithm.rawValue == Self.algorithm(of: curve).rawValue
        case .edwards(let curve):
            return requested.algorithm.rawValue == SignatureAlgorithm.eddsa.rawValue
                && (requested.curve == .any || requested.curve.rawValue == curve.rawValue)
        }
    }

    /// RFC 7518 section 3.4: each curve has one.
    private static func algorithm(of curve: EllipticCurve) -> SignatureAlgorithm {
        switch curve {
        case .p256: .es256
        case .p384: .es384
        case .p521: .es512
        }
    }

    /// `digest` is the hash of `message` that the algorithm signs; the key fits the algorithm.
    func verify(
        _ signature: borrowing Span<UInt8>, of message: borrowing Span<UInt8>, _ algorithm: SignatureAlgorithm,
        digest: MessageDigest
    ) -> Bool {
        guard signature.count == signatureCount else { return false }
        switch scheme {
        case .rsa:
            if algorithm.rawValue < SignatureAlgorithm.ps256.rawValue, pkcs1 != nil {
                return pkcs1?.verify(signature, digest) ?? false
            }
            return unsafe verifyDigest(signature, context(algorithm), digest)
        case .ecdsa(let curve):
            var encoded = ECDSASignature()
            return unsafe encoded.encode(signature, on: curve)
                && verifyDigest(encoded.bytes, context(algorithm), digest)
        case .edwards: return verifyMessage(signature, message)
        }
    }

    /// The kept context of an algorithm that this key fits.
    private func context(_ algorithm: SignatureAlgorithm) -> OpaquePointer? {
        let isRSA = algorithm.rawValue <= SignatureAlgorithm.ps512.rawValue
        let slot = isRSA ? Int(algorithm.rawValue) : 0
        if let known = unsafe contexts[slot] { return unsafe known }
        let isPSS = algorithm.rawValue >= SignatureAlgorithm.ps256.rawValue
        unsafe contexts[slot] = unsafe co_verifier(
            key.pointer, algorithm.digestBytes, isRSA ? isPSS ? CO_PSS : CO_PKCS1 : CO_EC)
        return unsafe contexts[slot]
    }

    private func verifyDigest(
        _ signature: borrowing Span<UInt8>, _ context: OpaquePointer?, _ digest: MessageDigest
    ) -> Bool {
        guard let context = unsafe context else { return false }
        return unsafe signature.withUnsafeBufferPointer { s in
            unsafe digest.withBytes { bytes, count in
                unsafe co_verify_digest(context, s.baseAddress, s.count, bytes, count) == 1
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
