// base64url without padding (RFC 4648 §5), as JOSE wants it (RFC 7515 §2). Every request with a token comes through here.
import Foundation

enum Base64URL {
    private static let symbols = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    /// The six bits of each symbol; `stranger` for the bytes that are none.
    private static let bits: [UInt8] = {
        var bits = [UInt8](repeating: stranger, count: 256)
        for (value, symbol) in symbols.enumerated() { bits[Int(symbol)] = UInt8(value) }
        return bits
    }()
    private static let stranger: UInt8 = 0xFF

    /// As an array: going through Data byte by byte costs more than the rest.
    static func encode(_ bytes: Data) -> String { encode([UInt8](bytes)) }

    static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count * 4 + 2) / 3)
        var held: UInt32 = 0
        var heldBits = 0
        for byte in bytes {
            held = held << 8 | UInt32(byte)
            heldBits += 8
            while heldBits >= 6 {
                heldBits -= 6
                text.append(symbols[Int(held >> heldBits & 0x3F)])
            }
        }
        if heldBits > 0 { text.append(symbols[Int(held << (6 - heldBits) & 0x3F)]) }
        return String(decoding: text, as: UTF8.self)
    }

    static func decode(_ text: Substring) -> Data? { decode(text.utf8) }

    /// The bytes, or nil for padding, strange characters and unused bits that are set: one value has one spelling.
    static func decode(_ text: Substring.UTF8View) -> Data? {
        // One symbol too many holds no byte.
        guard text.count % 4 != 1 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count * 3 / 4)
        var held: UInt32 = 0
        var heldBits = 0
        for symbol in text {
            let six = bits[Int(symbol)]
            guard six != stranger else { return nil }
            held = held << 6 | UInt32(six)
            heldBits += 6
            guard heldBits >= 8 else { continue }
            heldBits -= 8
            bytes.append(UInt8(truncatingIfNeeded: held >> heldBits))
        }
        guard held & (1 << heldBits - 1) == 0 else { return nil }
        return Data(bytes)
    }
}
