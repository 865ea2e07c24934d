// Claims as header field values: percent-encoded so that no value can end a field, and no two values become one.
import Bytes
import JSON

enum IdentityEncoding {
    /// Bytes of a field value made of a claim: what every server takes, beside the other fields.
    static let maximumBytes = 2048
    /// Between the elements of a list; encoded inside them, so their number is preserved.
    static let separator = UInt8(ascii: ",")

    /// Appends one text; false, and nothing appended, when that would exceed `limit` bytes.
    static func append(
        _ text: JSONEvent, of document: borrowing Span<UInt8>, isElement: Bool, limit: Int, to out: inout ByteBuffer
    ) -> Bool {
        if isPlain(text, of: document, isElement: isElement) {
            guard text.range.count <= limit else { return false }
            out.append(document.extracting(text.range))
            return true
        }
        let start = out.count
        var characters = JSONText(text)
        var byte = characters.next(document)
        var isFirst = true
        while byte >= 0 {
            let next = characters.next(document)
            append(UInt8(truncatingIfNeeded: byte), isElement: isElement, isOuter: isFirst || next < 0, to: &out)
            guard out.count - start <= limit else {
                out.truncate(to: start)
                return false
            }
            isFirst = false
            byte = next
        }
        return true
    }

    /// Whether the text, as nearly all are, is its own encoding.
    private static func isPlain(_ text: JSONEvent, of document: borrowing Span<UInt8>, isElement: Bool) -> Bool {
        guard !text.isEscaped else { return false }
        // What no text may hold anyway stands for "nothing else".
        return document.extracting(text.range).isVisible(without: isElement ? separator : UInt8(ascii: "%"))
    }

    @inline(__always)
    private static func isPlain(_ byte: UInt8, isElement: Bool) -> Bool {
        byte > 0x20 && byte < 0x7f && byte != UInt8(ascii: "%") && !(isElement && byte == separator)
    }

    /// The text of a configured permission, in the form in which the granted ones are kept.
    static func append(element text: borrowing Span<UInt8>, to out: inout ByteBuffer) {
        append(text: text, isElement: true, to: &out)
    }
    /// Any text, in the form in which that of a claim is kept.
    static func append(text: borrowing Span<UInt8>, isElement: Bool, to out: inout ByteBuffer) {
        for i in 0..<text.count {
            append(text[i], isElement: isElement, isOuter: i == 0 || i == text.count - 1, to: &out)
        }
    }

    private static func append(_ byte: UInt8, isElement: Bool, isOuter: Bool, to out: inout ByteBuffer) {
        // A blank at either end would be trimmed by whoever reads the field (RFC 9110 section 5.5).
        let isBlankThatStays = byte == UInt8(ascii: " ") && !isElement && !isOuter
        if isPlain(byte, isElement: isElement) || isBlankThatStays { return out.append(byte: byte) }
        out.append(byte: UInt8(ascii: "%"))
        out.append(byte: digit(byte >> 4))
        out.append(byte: digit(byte & 15))
    }

    /// The text that a value stands for.
    static func appendDecoded(_ value: borrowing Span<UInt8>, to out: inout ByteBuffer) {
        var at = 0
        while at < value.count {
            let isEscape = value[at] == UInt8(ascii: "%") && at + 2 < value.count
            out.append(byte: isEscape ? number(value[at + 1]) << 4 | number(value[at + 2]) : value[at])
            at += isEscape ? 3 : 1
        }
    }

    private static func number(_ digit: UInt8) -> UInt8 {
        digit <= UInt8(ascii: "9") ? digit & 15 : (digit & 15) + 9
    }

    private static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "A") + value - 10
    }
}
