// base64url without padding (RFC 4648 section 5, RFC 7515 section 2), decoded strictly: one text for one value.
import CScan

public enum Base64URL {
    /// Appends what `text` stands for. False for a byte outside the alphabet (`=` too), an impossible length, or unused bits
    /// that are not zero (RFC 4648 section 3.5: they would make several texts of one token); the buffer is then unchanged.
    public static func decode(_ text: borrowing Span<UInt8>, into buffer: inout ByteBuffer) -> Bool {
        let rest = text.count & 3
        guard rest != 1 else { return false }
        let whole = text.count - rest
        // Each step of the fast part writes 4 bytes more than it decodes.
        buffer.reserve(text.count / 4 * 3 + 6)
        var free = buffer.free
        var i = text.decodeBase64URL(into: &free)
        var written = i / 4 * 3
        var bad: UInt8 = 0
        while i < whole {
            let a = cs_base64url_value(text[i]), b = cs_base64url_value(text[i + 1])
            let c = cs_base64url_value(text[i + 2]), d = cs_base64url_value(text[i + 3])
            bad |= a | b | c | d
            let word = UInt32(a) << 18 | UInt32(b & 63) << 12 | UInt32(c & 63) << 6 | UInt32(d & 63)
            free[written] = UInt8(truncatingIfNeeded: word >> 16)
            free[written + 1] = UInt8(truncatingIfNeeded: word >> 8)
            free[written + 2] = UInt8(truncatingIfNeeded: word)
            i += 4
            written += 3
            if bad & 0x80 != 0 { return false }
        }
        if rest > 0 {
            let a = cs_base64url_value(text[i]), b = cs_base64url_value(text[i + 1])
            let c = rest == 3 ? cs_base64url_value(text[i + 2]) : 0
            bad |= a | b | c
            let unused = rest == 3 ? c & 3 : b & 15
            guard unused == 0 else { return false }
            free[written] = a << 2 | (b & 63) >> 4
            written += 1
            if rest == 3 {
                free[written] = b << 4 | (c & 63) >> 2
                written += 1
            }
        }
        guard bad & 0x80 == 0 else { return false }
        buffer.commit(written)
        return true
    }

    public static func encode(_ bytes: borrowing Span<UInt8>) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count * 4 + 2) / 3)
        var word: UInt32 = 0
        var bits = 0
        for i in 0..<bytes.count {
            word = word << 8 | UInt32(bytes[i])
            bits += 8
            while bits >= 6 {
                bits -= 6
                text.append(alphabet[Int(word >> UInt32(bits)) & 63])
            }
        }
        if bits > 0 { text.append(alphabet[Int(word << UInt32(6 - bits)) & 63]) }
        return String(decoding: text, as: UTF8.self)
    }
}
