// The request target: the one path that is matched, authorized and forwarded, and the query as it came.
import Bytes

/// The target of a request (RFC 9112 section 3.2). Ranges are of the head's bytes; a path that had to be rewritten lies in
/// a buffer of its own, which is kept from request to request.
package struct RequestTarget: ~Copyable {
    package enum Form: UInt8, Sendable { case origin, absolute, asterisk, authority }

    package private(set) var form = Form.origin
    /// Of the absolute and authority forms: it replaces Host, and is to be validated like one. Empty for the others.
    package private(set) var authority = 0..<0
    /// The path as it came; empty when an absolute form has none.
    package private(set) var rawPath = 0..<0
    /// The query as it came, without `?`.
    package private(set) var query = 0..<0
    /// There was a `?`, even with nothing behind it.
    package private(set) var hasQuery = false
    /// The part of the query that does not travel on.
    var hidden = 0..<0
    /// No server reads the path otherwise: nothing was rewritten, and nothing needs to be read twice.
    package private(set) var isPlain = true
    /// The path names nothing: a broken or forbidden escape, a backslash, or more `..` than segments. To be answered with
    /// 400 `path_invalid` on a connection that stays; it is then not forwarded, and not matched.
    package private(set) var isPathInvalid = false

    /// When not empty: first the path to forward, then the path to match.
    private var rewritten = ByteBuffer(capacity: 0)
    private var forwardedCount = 0

    package init() {}

    /// The path to forward: dot segments resolved, all other bytes as they came; `*` for the asterisk form. `head` holds
    /// the bytes that were parsed, at the same place.
    @_lifetime(borrow self, copy head)
    package borrowing func path(in head: Span<UInt8>) -> Span<UInt8> {
        if rewritten.isEmpty { return head.extracting(rawPath) }
        if form == .asterisk { return head.extracting(rawPath) }
        return rewritten.bytes.extracting(0..<forwardedCount)
    }

    /// The path to compare with locations: besides, `%XX` of an unreserved character is that character, and other escapes
    /// are in upper case (RFC 3986 section 6.2.2). `/` for the asterisk and authority forms.
    @_lifetime(borrow self, copy head)
    package borrowing func matchingPath(in head: Span<UInt8>) -> Span<UInt8> {
        if rewritten.isEmpty { return head.extracting(rawPath) }
        return rewritten.bytes.extracting(forwardedCount..<rewritten.count)
    }

    /// How many bytes of the path to forward the first `count` bytes of the path to match stand for.
    package borrowing func forwardedPrefix(ofMatching count: Int) -> Int {
        guard forwardedCount > 0 else { return min(count, rawPath.count) }
        let path = rewritten.bytes
        var matched = 0, i = 0
        while matched < count && i < forwardedCount {
            let isDecoded = path[i] == UInt8(ascii: "%") && PathEscape.isUnreserved(PathEscape.value(path, i))
            i += isDecoded ? 3 : 1
            matched += 1
        }
        return i
    }

    /// Takes the target at `range` of `s` apart; every byte of it is visible ASCII but no `#`. False: it has none of the
    /// four forms of RFC 9112 section 3.2, and nothing of the message can be trusted.
    package mutating func parse(_ s: Span<UInt8>, _ range: Range<Int>, method: HTTPMethod) -> Bool {
        reset()
        guard !range.isEmpty else { return false }
        if method == .connect { return parseAuthority(s, range) }
        switch s[range.lowerBound] {
        case UInt8(ascii: "/"):
            parsePath(s, range)
            return true
        case UInt8(ascii: "*"): return range.count == 1 && method == .options && parseAsterisk(range)
        default: return parseAbsolute(s, range)
        }
    }
}

// MARK: forms

extension RequestTarget {
    /// Forgets the target; the memory of a long one is given back. For heads that go back to a pool.
    package mutating func clear() {
        let isLong = rewritten.count > 4096
        reset()
        if isLong { rewritten = ByteBuffer(capacity: 0) }
    }

    mutating func reset() {
        form = .origin
        authority = 0..<0
        rawPath = 0..<0
        query = 0..<0
        hasQuery = false
        hidden = 0..<0
        isPlain = true
        isPathInvalid = false
        rewritten.clear()
        forwardedCount = 0
    }

    /// `OPTIONS *` concerns the server: routed like `/`, forwarded as it is.
    private mutating func parseAsterisk(_ range: Range<Int>) -> Bool {
        form = .asterisk
        rawPath = range
        rewritten.append("/")
        return true
    }

    /// `host:port`, only with CONNECT.
    private mutating func parseAuthority(_ s: Span<UInt8>, _ range: Range<Int>) -> Bool {
        for i in range where Self.endsAuthority(s[i]) || s[i] == UInt8(ascii: "@") { return false }
        form = .authority
        authority = range
        rawPath = range.upperBound..<range.upperBound
        rewritten.append("/")
        return true
    }

    /// `http://host/path?query`. Other schemes are not ours to serve.
    private mutating func parseAbsolute(_ s: Span<UInt8>, _ range: Range<Int>) -> Bool {
        var start = range.lowerBound
        if range.count > 7 && s.folds(start, to: "http://") {
            start += 7
        } else if range.count > 8 && s.folds(start, to: "https://") {
            start += 8
        } else {
            return false
        }
        var end = start
        while end < range.upperBound && !Self.endsAuthority(s[end]) { end += 1 }
        guard end > start else { return false }
        form = .absolute
        authority = start..<end
        parsePath(s, end..<range.upperBound)
        return true
    }

    private static func endsAuthority(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "/") || byte == UInt8(ascii: "?") || byte == UInt8(ascii: "\\")
    }
}

// MARK: path and query

extension RequestTarget {
    /// Of the origin form, and of what follows the authority of the absolute form.
    private mutating func parsePath(_ s: Span<UInt8>, _ range: Range<Int>) {
        let stop = s.endOfPlainPath(from: range.lowerBound, to: range.upperBound)
        let end = s.first(UInt8(ascii: "?"), from: stop, to: range.upperBound)
        rawPath = range.lowerBound..<end
        if end < range.upperBound {
            hasQuery = true
            query = end + 1..<range.upperBound
        }
        // A dot at the very end has no slash behind it for the scan to see.
        if stop < end || (end > range.lowerBound && s[end - 1] == UInt8(ascii: ".")) {
            isPlain = false
            normalise(s)
        } else if rawPath.isEmpty {
            rewritten.append("//")
            forwardedCount = 1
        }
    }

    private mutating func normalise(_ s: Span<UInt8>) {
        let raw = s.extracting(rawPath)
        switch PathEscape.check(raw) {
        case .invalid: isPathInvalid = true
        case .asItIs: break
        case .rewrite: rewrite(raw)
        }
    }

    private mutating func rewrite(_ raw: Span<UInt8>) {
        rewritten.reserve(2 * raw.count)
        var out = rewritten.free
        guard let forwarded = DotSegments.remove(from: raw, into: &out, root: .refuses) else {
            isPathInvalid = true
            return
        }
        let matching = PathEscape.canonicalise(&out, count: forwarded)
        rewritten.commit(forwarded + matching)
        forwardedCount = forwarded
    }
}
