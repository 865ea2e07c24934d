// The hash that a signature is over. A span's pointer is used within one call, and nothing is owned.
import COpenSSL

struct MessageDigest: BitwiseCopyable {
    /// The first `count` bytes of it are the hash, in the order in which it is written.
    private var words: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0, 0)
    /// 32, 48 or 64; 0: there is none.
    private(set) var count = 0

    init() {}

    /// The hash of `message` that this algorithm signs.
    init(of message: borrowing Span<UInt8>, for algorithm: SignatureAlgorithm, _ sha256: borrowing SHA256) {
        count = algorithm.digestBytes
        if count == 32 {
            let value = sha256.hash(message).words
            (words.0, words.1, words.2, words.3) = value
        } else if count > 0 {
            let bytes = count
            unsafe withUnsafeMutableBytes(of: &words) { out in
                unsafe message.withUnsafeBufferPointer {
                    unsafe co_sha512($0.baseAddress, $0.count, bytes, out.baseAddress)
                }
            }
        }
    }

    /// Calls the library with the bytes.
    func withBytes(_ body: (UnsafeRawPointer?, Int) -> Bool) -> Bool {
        unsafe withUnsafeBytes(of: words) { unsafe body($0.baseAddress, count) }
    }
}
