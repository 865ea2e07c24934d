// What single servers do to a path before they look at it: each habit by itself, as a function from path to path.
import Bytes

/// One habit. Each makes a path shorter or leaves fewer bytes for the others to change, so repeating them comes to an end.
enum PathTransform: UInt8, CaseIterable {
    /// `%2f` is a slash (nginx, most application servers).
    case slashes
    /// `%5c` and `\` are slashes (Windows).
    case backslashes
    /// Every other escape is decoded; again, when what comes out has escapes (two servers in a row).
    case escapes
    /// Overlong UTF-8 and full-width forms are the ASCII they resemble (lax decoders, Windows' best fit).
    case lookalikes
    /// Tab, line feed and carriage return are removed (the URL standard of browsers).
    case controls
    /// `%3f` begins the query, `%23` the fragment, `%00` ends the text.
    case question, hash, null
    /// `;…` up to the next slash is removed (Java servlets).
    case parameters
    /// `//` is `/`.
    case emptySegments
    /// Segments of nothing but blanks are removed.
    case blankSegments
    /// Blanks, or dots and blanks, at the end of segments are removed (Windows).
    case trailingBlanks, trailingDots
    /// `.` and `..` are resolved; above the root there is the root.
    case dotSegments

    var bit: UInt16 { 1 << UInt16(rawValue) }
}

// MARK: which may change a path

extension PathTransform {
    /// The bits of all that may change `path`; one that turns out to change nothing does no harm.
    static func applicable(to path: Span<UInt8>) -> UInt16 {
        var bits: UInt16 = 0
        var previous: UInt8 = 0
        for i in 0..<path.count {
            let byte = path[i]
            if byte == UInt8(ascii: "/") {
                bits |= atEndOfSegment(previous)
            } else if !isOrdinary(byte) {
                bits |= inSegment(path, i, byte)
            }
            previous = byte
        }
        return bits | (previous == UInt8(ascii: "/") ? 0 : atEndOfSegment(previous))
    }

    /// Letters, digits, hyphens and dots: most bytes of a path, told apart quickly.
    @inline(__always)
    private static func isOrdinary(_ byte: UInt8) -> Bool {
        (byte | 0x20) &- UInt8(ascii: "a") < 26 || byte &- UInt8(ascii: "-") < 13
    }

    private static func atEndOfSegment(_ last: UInt8) -> UInt16 {
        switch last {
        case UInt8(ascii: "/"): emptySegments.bit
        case UInt8(ascii: "."): trailingDots.bit | dotSegments.bit
        case UInt8(ascii: " "): blankSegments.bit | trailingBlanks.bit | trailingDots.bit
        default: 0
        }
    }

    private static func inSegment(_ path: Span<UInt8>, _ i: Int, _ byte: UInt8) -> UInt16 {
        switch byte {
        case UInt8(ascii: "%"): escaped(path, i)
        case UInt8(ascii: "\\"): backslashes.bit
        case UInt8(ascii: ";"): parameters.bit
        case UInt8(ascii: "?"): question.bit
        case UInt8(ascii: "#"): hash.bit
        case 0: null.bit
        case 0x09, 0x0a, 0x0d: controls.bit
        case 0xc0, 0xc1, 0xe0, 0xf0, 0xef: lookalikes.bit
        default: 0
        }
    }

    private static func escaped(_ path: Span<UInt8>, _ i: Int) -> UInt16 {
        guard PathEscape.isEscape(path, i) else { return 0 }
        switch PathEscape.value(path, i) {
        case UInt8(ascii: "/"): return slashes.bit
        case UInt8(ascii: "\\"): return backslashes.bit
        case UInt8(ascii: "."): return escapes.bit | dotSegments.bit
        default: return escapes.bit
        }
    }
}

// MARK: what they make of it

extension PathTransform {
    /// Writes what the habit makes of `path`, which begins with a slash, into `out`, which has room for as many bytes.
    /// Returns how many bytes; the result begins with a slash, too.
    func apply(to path: Span<UInt8>, _ out: inout MutableSpan<UInt8>) -> Int {
        switch self {
        case .slashes: Self.decode(path, &out) { $0 == UInt8(ascii: "/") ? UInt8(ascii: "/") : nil }
        case .backslashes: Self.decodeBackslashes(path, &out)
        case .escapes: Self.decode(path, &out) { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\") ? nil : $0 }
        case .lookalikes: Self.foldLookalikes(path, &out)
        case .controls: Self.dropControls(path, &out)
        case .question: Self.cut(path, at: UInt8(ascii: "?"), &out)
        case .hash: Self.cut(path, at: UInt8(ascii: "#"), &out)
        case .null: Self.cut(path, at: 0, &out)
        case .parameters: Self.stripParameters(path, &out)
        case .emptySegments: Self.mapSegments(path, &out) { _, start, end in start == end ? nil : end }
        case .blankSegments: Self.mapSegments(path, &out) { Self.isBlank($0, $1, $2) ? nil : $2 }
        case .trailingBlanks: Self.mapSegments(path, &out) { Self.withoutBlanks($0, $1, $2) }
        case .trailingDots: Self.mapSegments(path, &out) { Self.withoutDots($0, $1, $2) }
        case .dotSegments: DotSegments.remove(from: path, into: &out, root: .holds) ?? 0
        }
    }

    /// Writes each escape as the byte that `meaning` gives for its value; nil leaves it as it is.
    @inline(__always)
    private static func decode(
        _ path: Span<UInt8>, _ out: inout MutableSpan<UInt8>, _ meaning: (UInt8) -> UInt8?
    ) -> Int {
        var i = 0
        var w = 0
        while i < path.count {
            if PathEscape.isEscape(path, i), let byte = meaning(PathEscape.value(path, i)) {
                out[w] = byte
                i += 3
            } else {
                out[w] = path[i]
                i += 1
            }
            w += 1
        }
        return w
    }

    private static func decodeBackslashes(_ path: Span<UInt8>, _ out: inout MutableSpan<UInt8>) -> Int {
        let n = decode(path, &out) { $0 == UInt8(ascii: "\\") ? UInt8(ascii: "/") : nil }
        for i in 0..<n where out[i] == UInt8(ascii: "\\") { out[i] = UInt8(ascii: "/") }
        return n
    }

    private static func dropControls(_ path: Span<UInt8>, _ out: inout MutableSpan<UInt8>) -> Int {
        var w = 0
        for i in 0..<path.count where path[i] != 0x09 && path[i] != 0x0a && path[i] != 0x0d {
            out[w] = path[i]
            w += 1
        }
        return w
    }

    private static func cut(_ path: Span<UInt8>, at byte: UInt8, _ out: inout MutableSpan<UInt8>) -> Int {
        let end = path.first(byte, from: 0, to: path.count)
        for i in 0..<end { out[i] = path[i] }
        return end
    }

    private static func stripParameters(_ path: Span<UInt8>, _ out: inout MutableSpan<UInt8>) -> Int {
        mapSegments(path, &out) { $0.first(UInt8(ascii: ";"), from: $1, to: $2) }
    }

    /// Writes each segment up to the end that `newEnd` gives for its range; nil drops it, but the last one leaves its slash.
    @inline(__always)
    private static func mapSegments(
        _ path: Span<UInt8>, _ out: inout MutableSpan<UInt8>, _ newEnd: (Span<UInt8>, Int, Int) -> Int?
    ) -> Int {
        var start = 1
        var w = 0
        while start <= path.count {
            let end = path.first(UInt8(ascii: "/"), from: start, to: path.count)
            let kept = newEnd(path, start, end)
            if kept != nil || end == path.count {
                out[w] = UInt8(ascii: "/")
                w += 1
                for i in start..<(kept ?? start) {
                    out[w] = path[i]
                    w += 1
                }
            }
            start = end + 1
        }
        return w
    }

    private static func isBlank(_ path: Span<UInt8>, _ start: Int, _ end: Int) -> Bool {
        end > start && withoutBlanks(path, start, end) == start
    }

    private static func withoutBlanks(_ path: Span<UInt8>, _ start: Int, _ end: Int) -> Int {
        var end = end
        while end > start && path[end - 1] == UInt8(ascii: " ") { end -= 1 }
        return end
    }

    /// `.` and `..`, with or without blanks behind them, are left for `dotSegments`.
    private static func withoutDots(_ path: Span<UInt8>, _ start: Int, _ end: Int) -> Int {
        var end = withoutBlanks(path, start, end)
        let isDot = end - start == 1 && path[start] == UInt8(ascii: ".")
        let isTwoDots = end - start == 2 && path[start] == UInt8(ascii: ".") && path[start + 1] == UInt8(ascii: ".")
        if isDot || isTwoDots { return end }
        while end > start && (path[end - 1] == UInt8(ascii: ".") || path[end - 1] == UInt8(ascii: " ")) { end -= 1 }
        return end
    }

    private static func foldLookalikes(_ path: Span<UInt8>, _ out: inout MutableSpan<UInt8>) -> Int {
        var i = 0
        var w = 0
        while i < path.count {
            let (byte, count) = lookalike(path, i)
            out[w] = byte
            w += 1
            i += count
        }
        return w
    }

    /// The byte that stands for the sequence at `i`, and the sequence's length.
    private static func lookalike(_ path: Span<UInt8>, _ i: Int) -> (UInt8, Int) {
        let first = path[i]
        switch first {
        case 0xc0, 0xc1:  // overlong in two bytes
            guard let low = continuation(path, i + 1) else { break }
            return ((first & 1) << 6 | low, 2)
        case 0xe0, 0xf0:  // in three and four
            let last = first == 0xe0 ? i + 2 : i + 3
            guard let high = continuation(path, last - 1), high < 2, let low = continuation(path, last) else { break }
            guard first == 0xe0 || path[i + 1] == 0x80 else { break }
            return (high << 6 | low, last - i + 1)
        case 0xef:  // U+FF01 to U+FF5E: full-width forms of 0x21 to 0x7e
            guard let high = continuation(path, i + 1), let low = continuation(path, i + 2) else { break }
            let form = UInt16(high) << 6 | UInt16(low)
            guard (0xf01...0xf5e).contains(form) else { break }
            return (UInt8(truncatingIfNeeded: form &- 0xf00 &+ 0x20), 3)
        default: break
        }
        return (first, 1)
    }

    /// The six bits of a continuation byte of UTF-8; nil when there is none.
    private static func continuation(_ path: Span<UInt8>, _ i: Int) -> UInt8? {
        i < path.count && path[i] & 0xc0 == 0x80 ? path[i] & 0x3f : nil
    }
}
