// Percent-encoding in paths (RFC 3986 section 2): what is allowed, and the one spelling that is compared.
import Bytes

package enum PathEscape {
    package enum Finding { case invalid, asItIs, rewrite }

    /// Judges a path as it came: `invalid` when an escape is broken or hides a NUL (it ends the path for every server
    /// written in C) or a backslash stands in it, `rewrite` when it has escapes or may have dot segments.
    static func check(_ path: borrowing Span<UInt8>) -> Finding {
        var finding = Finding.asItIs
        var i = 0
        while i < path.count {
            switch path[i] {
            case UInt8(ascii: "\\"): return .invalid
            case UInt8(ascii: "%"):
                guard isEscape(path, i) && value(path, i) != 0 else { return .invalid }
                finding = .rewrite
                i += 2
            case UInt8(ascii: "."):
                if i == 0 || path[i - 1] == UInt8(ascii: "/") { finding = .rewrite }
            default: break
            }
            i += 1
        }
        return finding
    }

    /// Writes the first `count` bytes of `out` once more behind them, spelt as paths are compared: `%XX` of an unreserved
    /// character as that character, other escapes in upper case (RFC 3986 sections 6.2.2.1 and 6.2.2.2).
    static func canonicalise(_ out: inout MutableSpan<UInt8>, count: Int) -> Int {
        var i = 0
        var w = count
        while i < count {
            guard out[i] == UInt8(ascii: "%") else {
                out[w] = out[i]
                i += 1
                w += 1
                continue
            }
            let value = digit(out[i + 1]) << 4 | digit(out[i + 2])
            if isUnreserved(value) {
                out[w] = value
                w += 1
            } else {
                out[w] = UInt8(ascii: "%")
                out[w + 1] = hex(value >> 4)
                out[w + 2] = hex(value & 15)
                w += 3
            }
            i += 3
        }
        return w - count
    }

    /// A path of the configuration in the spelling that requests are compared in: what cannot stand in a path as it is,
    /// non-ASCII text above all, is encoded; a `%` that begins no escape stands for itself.
    package static func canonical(_ path: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        var i = 0
        while i < path.count {
            var byte = path[i]
            let isEscape = isEscape(path.span, i)
            if isEscape { byte = value(path.span, i) }
            if isEscape ? isUnreserved(byte) : isBare(byte) {
                result.append(byte)
            } else {
                result += [UInt8(ascii: "%"), hex(byte >> 4), hex(byte & 15)]
            }
            i += isEscape ? 3 : 1
        }
        return result
    }

    /// What a decoder makes of a path of the configuration; `keepsSlashes` leaves `%2F` and `%5C`.
    package static func decoded(_ path: [UInt8], keepsSlashes: Bool = false) -> [UInt8] {
        var result: [UInt8] = []
        var i = 0
        while i < path.count {
            var byte = path[i]
            if isEscape(path.span, i) {
                byte = value(path.span, i)
                if !keepsSlashes || (byte != UInt8(ascii: "/") && byte != UInt8(ascii: "\\")) {
                    i += 2
                } else {
                    byte = path[i]
                }
            }
            result.append(byte)
            i += 1
        }
        return result
    }

    /// `path[i]` is a `%` with two hexadecimal digits behind it.
    @inline(__always)
    static func isEscape(_ path: borrowing Span<UInt8>, _ i: Int) -> Bool {
        path[i] == UInt8(ascii: "%") && i + 2 < path.count && digit(path[i + 1]) < 16 && digit(path[i + 2]) < 16
    }

    /// The byte that the escape at `i` stands for.
    @inline(__always)
    static func value(_ path: borrowing Span<UInt8>, _ i: Int) -> UInt8 {
        digit(path[i + 1]) << 4 | digit(path[i + 2])
    }

    /// Letters, digits, `-`, `.`, `_` and `~` (RFC 3986 section 2.3).
    static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"): true
        default: false
        }
    }

    /// May stand in the path of a request unescaped.
    private static func isBare(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "%"), UInt8(ascii: "?"), UInt8(ascii: "#"), UInt8(ascii: "\\"): false
        case 0x21...0x7e: true
        default: false
        }
    }

    /// 16 or more for any byte that is no hexadecimal digit.
    @inline(__always)
    private static func digit(_ byte: UInt8) -> UInt8 {
        let number = byte &- UInt8(ascii: "0")
        if number < 10 { return number }
        let letter = (byte | 0x20) &- UInt8(ascii: "a")
        return letter < 6 ? letter + 10 : 255
    }

    private static func hex(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "A") - 10 + value
    }
}
