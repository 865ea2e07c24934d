// What every secret of ours is made from, and what the store knows it by.
import Crypto
import Foundation

extension Data {
    /// That many bytes of the system's random generator.
    static func random(count: Int) -> Data {
        var generator = SystemRandomNumberGenerator()
        return Data((0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) })
    }

    /// SHA-256 of a text's UTF-8.
    init(sha256Of text: String) { self.init(SHA256.hash(data: Data(text.utf8))) }
}
