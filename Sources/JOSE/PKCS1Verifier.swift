// Verifies RSASSA-PKCS1-v1_5 signatures of one key (RFC 8017 section 8.2.2). Owns what OpenSSL prepared for that and frees it in
// deinit; pointers of spans are used within one call.
import COpenSSL

@safe struct PKCS1Verifier: ~Copyable {
    private let prepared: UnsafeMutablePointer<co_pkcs1>

    /// Nil for a key whose exponent is not 65537: OpenSSL's own functions verify with any.
    init?(_ key: borrowing PublicKey) {
        guard let prepared = unsafe co_pkcs1_new(key.pointer) else { return nil }
        unsafe self.prepared = unsafe prepared
    }
    deinit { unsafe co_pkcs1_free(prepared) }

    /// `digest` is the hash of the message.
    borrowing func verify(_ signature: borrowing Span<UInt8>, _ digest: MessageDigest) -> Bool {
        unsafe signature.withUnsafeBufferPointer { s in
            unsafe digest.withBytes { bytes, count in
                unsafe co_pkcs1_verify(prepared, s.baseAddress, s.count, bytes, count) == 1
            }
        }
    }
}
