// Writes JSON into a buffer: commas and escapes are its business, the order of calls is the caller's.
package import Bytes

package struct JSONWriter: ~Copyable {
    package var buffer: ByteBuffer
    private var needsComma = false

    /// `capacity` in bytes; the buffer grows.
    package init(capacity: Int = 256) { buffer = ByteBuffer(capacity: capacity) }

    package mutating func beginObject() { begin("{") }
    package mutating func endObject() { end("}") }
    package mutating func beginArray() { begin("[") }
    package mutating func endArray() { end("]") }

    package mutating func name(_ name: StaticString) {
        separate()
        buffer.append("\"")
        buffer.append(name)
        buffer.append("\":")
        needsComma = false
    }

    package mutating func name(_ name: String) {
        string(name)
        buffer.append(":")
        needsComma = false
    }

    package mutating func string(_ text: borrowing Span<UInt8>) {
        separate()
        buffer.append("\"")
        Self.appendEscaped(text, to: &buffer)
        buffer.append("\"")
    }
    package mutating func string(_ text: String) { string(Array(text.utf8).span) }
    package mutating func string(_ text: StaticString) {
        separate()
        buffer.append("\"")
        buffer.append(text)
        buffer.append("\"")
    }

    package mutating func integer(_ value: some BinaryInteger) {
        separate()
        buffer.append(Array(String(value).utf8).span)
    }
    package mutating func boolean(_ value: Bool) {
        separate()
        buffer.append(value ? "true" : "false")
    }

    package mutating func null() {
        separate()
        buffer.append("null")
    }

    /// The text inside quotes (RFC 8259 section 7); a byte that is not UTF-8 becomes U+FFFD, so the result always parses.
    package static func appendEscaped(_ text: borrowing Span<UInt8>, to buffer: inout ByteBuffer) {
        var clean = 0
        var i = 0
        while i < text.count {
            let byte = text[i]
            if byte >= 0x20 && byte < 0x80 && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\") {
                i += 1
                continue
            }
            let length = byte < 0x80 ? 0 : scalarLength(text, i)
            if length > 0 {
                i += length
                continue
            }
            buffer.append(text.extracting(clean..<i))
            appendEscape(byte, to: &buffer)
            i += 1
            clean = i
        }
        buffer.append(text.extracting(clean..<text.count))
    }

    private static func appendEscape(_ byte: UInt8, to buffer: inout ByteBuffer) {
        switch byte {
        case UInt8(ascii: "\""): buffer.append("\\\"")
        case UInt8(ascii: "\\"): buffer.append("\\\\")
        case 10: buffer.append("\\n")
        case 13: buffer.append("\\r")
        case 9: buffer.append("\\t")
        case 0x80...: buffer.append("\\ufffd")
        default:
            buffer.append(byte < 16 ? "\\u000" : "\\u001")
            let low = byte & 15
            buffer.append([low < 10 ? UInt8(ascii: "0") + low : UInt8(ascii: "a") + low - 10].span)
        }
    }

    /// Bytes of the scalar that begins at `i` with a byte from 0x80 up, 0 when there is none (RFC 3629 section 4).
    private static func scalarLength(_ text: borrowing Span<UInt8>, _ i: Int) -> Int {
        let lead = text[i]
        let more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1
        guard lead >= 0xc2, lead <= 0xf4, i + more < text.count else { return 0 }
        let low: UInt8 = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80
        let high: UInt8 = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf
        guard text[i + 1] >= low, text[i + 1] <= high else { return 0 }
        for k in i + 1..<i + more + 1 where text[k] & 0xc0 != 0x80 { return 0 }
        return more + 1
    }

    private mutating func separate() {
        if needsComma { buffer.append(",") }
        needsComma = true
    }
    private mutating func begin(_ bracket: StaticString) {
        separate()
        buffer.append(bracket)
        needsComma = false
    }
    private mutating func end(_ bracket: StaticString) {
        buffer.append(bracket)
        needsComma = true
    }
}
