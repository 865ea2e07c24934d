// RS256 signatures by the system's OpenSSL, which uses what the processor has for long numbers; swift-crypto's BoringSSL does
// not, takes more than twice as long, and this signature is most of what a refresh costs. Unsafe: the C functions take pointers to
// our arrays for the length of the call only.
import CLibCrypto

/// A key is not changed by signing, so threads may share it; it is freed with its last user.
@safe final class RSAPrivateKey: @unchecked Sendable {
    /// 8192 bits, far above the keys that anybody uses.
    private static let signatureLimitBytes = 1024

    private let key: OpaquePointer

    /// Nil for a text that is not the PEM of a private key without a passphrase.
    init?(pem: String) {
        let bytes = Array(pem.utf8)
        // It reads from a copy of its own, so nothing depends on how long the array's pointer lives.
        guard let source = unsafe BIO_new(BIO_s_mem()) else { return nil }
        // Whatever went wrong is not to be found by whoever asks OpenSSL about something else on this thread.
        defer {
            unsafe BIO_free(source)
            ERR_clear_error()
        }
        guard unsafe BIO_write(source, bytes, Int32(bytes.count)) == Int32(bytes.count) else { return nil }
        // There is nobody to ask for a passphrase.
        guard let key = unsafe PEM_read_bio_PrivateKey(source, nil, { _, _, _, _ in -1 }, nil) else { return nil }
        unsafe self.key = key
    }

    deinit { unsafe EVP_PKEY_free(key) }

    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 §3.3); nil when OpenSSL cannot.
    func signature(of message: [UInt8]) -> [UInt8]? {
        guard let digest = unsafe EVP_MD_CTX_new() else { return nil }
        defer {
            unsafe EVP_MD_CTX_free(digest)
            ERR_clear_error()
        }
        var signature = [UInt8](repeating: 0, count: Self.signatureLimitBytes)
        var length = signature.count
        guard unsafe EVP_DigestSignInit(digest, nil, EVP_sha256(), nil, key) == 1,
            unsafe EVP_DigestSign(digest, &signature, &length, message, message.count) == 1
        else { return nil }
        return Array(signature.prefix(length))
    }
}
