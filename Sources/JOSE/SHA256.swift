// SHA-256 through an algorithm fetched once and one kept context (an implicit fetch for each digest costs a third more).
// Owns both OpenSSL objects and frees them in deinit; a span's pointer is used within one call.
import COpenSSL

/// 32 bytes as four words: compared without a loop, stored without a pointer.
package struct SHA256Value: Equatable, BitwiseCopyable, Sendable {
    package var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    package init() {}

    package static func == (a: SHA256Value, b: SHA256Value) -> Bool {
        (a.words.0 ^ b.words.0) | (a.words.1 ^ b.words.1) | (a.words.2 ^ b.words.2) | (a.words.3 ^ b.words.3) == 0
    }

    /// In the order in which the hash is written.
    package var bytes: [UInt8] {
        [words.0, words.1, words.2, words.3].flatMap { word in
            (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) }
        }
    }
}

@safe package struct SHA256: ~Copyable {
    private let algorithm: OpaquePointer
    private let state: OpaquePointer

    package init() {
        // Nil only when memory is short or the library has no SHA-256: nothing could be verified then.
        unsafe algorithm = unsafe EVP_MD_fetch(nil, "SHA256", nil)!
        unsafe state = unsafe EVP_MD_CTX_new()!
    }
    deinit {
        unsafe EVP_MD_CTX_free(state)
        unsafe EVP_MD_free(algorithm)
    }

    package borrowing func hash(_ bytes: borrowing Span<UInt8>) -> SHA256Value {
        var value = SHA256Value()
        let done = unsafe withUnsafeMutableBytes(of: &value.words) { out in
            unsafe bytes.withUnsafeBufferPointer {
                unsafe co_digest(state, algorithm, $0.baseAddress, $0.count, out.baseAddress)
            }
        }
        precondition(done == 1, "SHA-256 of the crypto library failed")
        return value
    }
}
