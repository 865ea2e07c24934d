// What every secret of ours is made from, and what the store knows it by.
import Crypto
import Foundation

extension Data {
    /// That many bytes of the system's random generator.
    static func random(count: Int) -> Data {
        var generator = SystemRandomNumberGenerator()
        var bytes = Data(capacity: count)
        // The kernel is asked for each word: eight bytes of it cost no more than one.
        while bytes.count < count {
            let word = generator.next()
            for shift in stride(from: 0, to: UInt64.bitWidth, by: 8) where bytes.count < count {
                bytes.append(UInt8(truncatingIfNeeded: word >> shift))
            }
        }
        return bytes
    }

    /// SHA-256 of a text's UTF-8.
    init(sha256Of text: String) { self.init(SHA256.hash(data: Data(text.utf8))) }
}
