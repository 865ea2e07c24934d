// SHA-256. A span's pointer is used within one call, and nothing is owned.
import COpenSSL

/// 32 bytes as four words: compared without a loop, stored without a pointer.
package struct SHA256Value: Hashable, BitwiseCopyable, Sendable {
    package var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    package init() {}

    /// Of 32 bytes, in the order in which the hash is written.
    package init(_ bytes: borrowing Span<UInt8>) {
        precondition(bytes.count == 32)
        func word(_ k: Int) -> UInt64 {
            var word: UInt64 = 0
            for i in 0..<8 { word |= UInt64(bytes[k * 8 + i]) << UInt64(i * 8) }
            return word
        }
        words = (word(0), word(1), word(2), word(3))
    }

    package static func == (a: SHA256Value, b: SHA256Value) -> Bool {
        (a.words.0 ^ b.words.0) | (a.words.1 ^ b.words.1) | (a.words.2 ^ b.words.2) | (a.words.3 ^ b.words.3) == 0
    }

    /// Of a value that is spread evenly already, a quarter is enough.
    package func hash(into hasher: inout Hasher) { hasher.combine(words.0) }

    /// In the order in which the hash is written.
    package var bytes: [UInt8] {
        [words.0, words.1, words.2, words.3].flatMap { word in
            (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) }
        }
    }
}

/// The hash function of RFC 6234; without state, so that asking costs no allocation.
package struct SHA256: ~Copyable {
    package init() {}

    package borrowing func hash(_ bytes: borrowing Span<UInt8>) -> SHA256Value {
        var value = SHA256Value()
        unsafe withUnsafeMutableBytes(of: &value.words) { out in
            unsafe bytes.withUnsafeBufferPointer { unsafe co_sha256($0.baseAddress, $0.count, out.baseAddress) }
        }
        return value
    }
}
