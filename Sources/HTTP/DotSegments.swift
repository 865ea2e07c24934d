// Resolution of `.` and `..` in paths (RFC 3986 section 5.2.4).
import Bytes

enum DotSegments {
    /// What `..` above the root does.
    enum Root {
        /// The path is refused.
        case refuses
        /// The path stays at the root, as most servers have it.
        case holds
    }

    /// Writes `path`, which begins with a slash, without its dot segments (`%2e` is a dot there too); all other bytes as they
    /// are, empty segments included. Returns how many bytes; nil when it leads above the root and that is refused.
    static func remove(from path: Span<UInt8>, into out: inout MutableSpan<UInt8>, root: Root) -> Int? {
        var i = 0
        var w = 0
        while i < path.count {
            let end = path.first(UInt8(ascii: "/"), from: i + 1, to: path.count)
            let dots = dots(path, i + 1, end)
            if dots == 0 {
                for k in i..<end { out[w + k - i] = path[k] }
                w += end - i
            } else {
                if dots == 2 {
                    if w == 0 && root == .refuses { return nil }
                    w = startOfLastSegment(out, w)
                }
                // The last segment leaves its slash: `/a/.` and `/a/b/..` are `/a/`.
                if end == path.count {
                    out[w] = UInt8(ascii: "/")
                    w += 1
                }
            }
            i = end
        }
        return w
    }

    /// Where the slash before the last of the `w` bytes' segments is.
    private static func startOfLastSegment(_ out: borrowing MutableSpan<UInt8>, _ w: Int) -> Int {
        var i = w
        while i > 0 {
            i -= 1
            if out[i] == UInt8(ascii: "/") { return i }
        }
        return 0
    }

    /// 1 for a segment `.`, 2 for `..`, 0 for any other.
    @inline(__always)
    private static func dots(_ path: Span<UInt8>, _ start: Int, _ end: Int) -> Int {
        var i = start
        var dots = 0
        while i < end {
            if path[i] == UInt8(ascii: ".") {
                i += 1
            } else if end - i >= 3 && PathEscape.isEscape(path, i) && PathEscape.value(path, i) == UInt8(ascii: ".") {
                i += 3
            } else {
                return 0
            }
            dots += 1
        }
        return dots <= 2 ? dots : 0
    }
}
