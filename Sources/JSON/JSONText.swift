// The text of a string of a document that a reader has accepted, byte by byte in UTF-8, escapes decoded.

package struct JSONText {
    private var at: Int
    private let end: Int
    /// Bytes of one decoded escape that were not handed out yet, the next one lowest.
    private var pending: UInt32 = 0
    private var pendingCount = 0

    package init(_ string: JSONEvent) {
        at = Int(string.start)
        end = Int(string.end)
    }

    /// The next byte of the text, or -1 behind the last.
    package mutating func next(_ document: borrowing Span<UInt8>) -> Int {
        if pendingCount > 0 { return takePending() }
        guard at < end else { return -1 }
        let byte = document[at]
        guard byte == 0x5c else {
            at += 1
            return Int(byte)
        }
        let kind = document[at + 1]
        at += 2
        switch kind {
        case UInt8(ascii: "b"): return 8
        case UInt8(ascii: "f"): return 12
        case UInt8(ascii: "n"): return 10
        case UInt8(ascii: "r"): return 13
        case UInt8(ascii: "t"): return 9
        case UInt8(ascii: "u"):
            encode(scalar(document))
            return takePending()
        default: return Int(kind)
        }
    }

    private mutating func takePending() -> Int {
        let byte = pending & 0xff
        pending >>= 8
        pendingCount -= 1
        return Int(byte)
    }

    /// The scalar of `\uXXXX` whose digits begin here, or of a surrogate pair (RFC 8259 section 7).
    private mutating func scalar(_ document: borrowing Span<UInt8>) -> UInt32 {
        let unit = hexadecimalUnit(document, at)
        at += 4
        guard unit & 0xfc00 == 0xd800 else { return unit }
        let low = hexadecimalUnit(document, at + 2)
        at += 6
        return 0x10000 + (unit & 0x3ff) << 10 + (low & 0x3ff)
    }

    private mutating func encode(_ scalar: UInt32) {
        switch scalar {
        case 0..<0x80:
            pending = scalar
            pendingCount = 1
        case 0x80..<0x800:
            pending = (0xc0 | scalar >> 6) | (0x80 | scalar & 0x3f) << 8
            pendingCount = 2
        case 0x800..<0x10000:
            pending = (0xe0 | scalar >> 12) | (0x80 | scalar >> 6 & 0x3f) << 8 | (0x80 | scalar & 0x3f) << 16
            pendingCount = 3
        default:
            pending = (0xf0 | scalar >> 18) | (0x80 | scalar >> 12 & 0x3f) << 8
            pending |= (0x80 | scalar >> 6 & 0x3f) << 16 | (0x80 | scalar & 0x3f) << 24
            pendingCount = 4
        }
    }
}

/// Four hexadecimal digits, which the reader has checked, as a number.
func hexadecimalUnit(_ document: borrowing Span<UInt8>, _ at: Int) -> UInt32 {
    var unit: UInt32 = 0
    for i in at..<at + 4 {
        let digit = document[i]
        unit = unit << 4 | UInt32(digit <= UInt8(ascii: "9") ? digit & 15 : (digit & 15) + 9)
    }
    return unit
}
