// Bytes from strangers made fit for a log line: whatever they are, they stay inside their field and their line.
package import Bytes

/// How a log writes bytes that could end a field or a line, or speak to a terminal.
package enum LogEscape: Sendable {
    /// As nginx: `"`, `\`, controls and every byte above 0x7e become `\xXX`.
    case text
    /// For lines without fields, such as the error log's: as `text`, but quotes and well-formed UTF-8 stand as they are.
    case message
    /// A JSON string (RFC 8259 section 7): what is not UTF-8 becomes U+FFFD, controls of both sets `\u00XX`.
    case json
}

extension LogEscape {
    /// Appends `bytes`, escaped. Nothing is redacted: see `Redaction`.
    package func append(_ bytes: Span<UInt8>, to out: inout ByteBuffer) {
        var plain = 0, i = 0
        while i < bytes.count {
            let width = self.width(bytes, i)
            if width > 0 { i += width; continue }
            if plain < i { out.append(bytes.extracting(plain..<i)) }
            i += appendEscape(bytes, i, to: &out)
            plain = i
        }
        if plain < i { out.append(bytes.extracting(plain..<i)) }
    }

    /// How many bytes from `i` on may stand as they are; 0: an escape is needed.
    private func width(_ bytes: Span<UInt8>, _ i: Int) -> Int {
        let byte = bytes[i]
        if byte == UInt8(ascii: "\"") { return self == .message ? 1 : 0 }
        if byte == UInt8(ascii: "\\") || byte < 0x20 || byte == 0x7f { return 0 }
        if byte < 0x7f { return 1 }
        switch self {
        case .text: return 0
        case .message, .json:
            // C1 controls (U+0080–U+009F) steer terminals as escape sequences do
            return byte == 0xc2 && i + 1 < bytes.count && bytes[i + 1] < 0xa0 ? 0 : Self.scalarWidth(bytes, i)
        }
    }

    /// Writes one escape and says how many bytes it stands for.
    private func appendEscape(_ bytes: Span<UInt8>, _ i: Int, to out: inout ByteBuffer) -> Int {
        let byte = bytes[i]
        switch self {
        case .text, .message:
            out.append("\\x")
            out.append(byte: Self.digit(byte >> 4))
            out.append(byte: Self.digit(byte & 15))
        case .json where byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\"):
            out.append(byte: UInt8(ascii: "\\"))
            out.append(byte: byte)
        case .json where byte < 0x80:
            Self.appendUnicode(byte, to: &out)
        case .json where byte == 0xc2 && Self.scalarWidth(bytes, i) == 2:
            Self.appendUnicode(bytes[i + 1], to: &out)
            return 2
        case .json:
            out.append("\\ufffd")
        }
        return 1
    }
    private static func appendUnicode(_ byte: UInt8, to out: inout ByteBuffer) {
        out.append("\\u00")
        out.append(byte: digit(byte >> 4))
        out.append(byte: digit(byte & 15))
    }
    private static func digit(_ nibble: UInt8) -> UInt8 { nibble < 10 ? 0x30 + nibble : 0x37 + nibble }

    /// Bytes of the well-formed UTF-8 sequence that begins with a byte ≥ 0x80 at `i` (RFC 3629 section 4); 0: there is none.
    private static func scalarWidth(_ bytes: Span<UInt8>, _ i: Int) -> Int {
        let lead = bytes[i]
        let width: Int
        var second: ClosedRange<UInt8> = 0x80...0xbf
        switch lead {
        case 0xc2...0xdf: width = 2
        case 0xe0: width = 3; second = 0xa0...0xbf
        case 0xed: width = 3; second = 0x80...0x9f
        case 0xe1...0xef: width = 3
        case 0xf0: width = 4; second = 0x90...0xbf
        case 0xf1...0xf3: width = 4
        case 0xf4: width = 4; second = 0x80...0x8f
        default: return 0
        }
        guard i + width <= bytes.count, second.contains(bytes[i + 1]) else { return 0 }
        for k in 2..<max(width, 2) where bytes[i + k] & 0xc0 != 0x80 { return 0 }
        return width
    }
}
