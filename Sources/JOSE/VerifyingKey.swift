// One imported key with a verification context that is initialised once and serves every token. Owns the OpenSSL contexts
// and frees them in deinit; pointers of spans are used within one call.
import Bytes
import COpenSSL

/// A class, because key sets share and keep keys when they are replaced; it is only touched when a signature is checked.
@safe final class VerifyingKey {
    let described: JSONWebKey
    /// `kid` as it stands in a token.
    let id: [UInt8]?
    /// Names this key for as long as the key set lives; never used again after it was withdrawn.
    let serial: UInt32
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
        case .rsa, .p256:
            let isRSA: Int32 = if case .rsa = described.material { 1 } else { 0 }
            unsafe digestContext = unsafe co_verifier(key.pointer, isRSA)
            unsafe messageContext = nil
        case .ed25519, .ed448:
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

    /// `digest` is the SHA-256 of `message`.
    func verify(
        _ signature: borrowing Span<UInt8>, of message: borrowing Span<UInt8>, digest: inout SHA256Value
    ) -> Bool {
        switch described.material {
        case .rsa(let modulus, _):
            // RFC 8017 section 8.2.2 step 1: as long as the modulus, not a byte more or less.
            return signature.count == modulus.count && verifyDigest(signature, &digest)
        case .p256:
            var encoded = ECDSASignature()
            guard encoded.encode(signature) else { return false }
            return verifyDigest(encoded.bytes, &digest)
        case .ed25519: return signature.count == 64 && verifyMessage(signature, message)
        case .ed448: return signature.count == 114 && verifyMessage(signature, message)
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
