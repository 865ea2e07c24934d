// The authority of a request: which host it is for (RFC 9112 section 3.2, RFC 3986 section 3.2).
import Bytes

extension Span where Element == UInt8 {
    /// The host without port and final dot of the `host [":" port]` at `range`; nil when it is not one. Narrower than
    /// RFC 3986: user information, percent signs and sub-delimiters have no place in the name of a server, and each of
    /// them is read differently by somebody (`Host: good,evil`, `Host: a@b`).
    package func authorityHost(_ range: Range<Int>) -> Range<Int>? {
        guard !range.isEmpty else { return nil }
        if self[range.lowerBound] == UInt8(ascii: "[") { return literalHost(range) }
        // Stops at an empty label too: `a..b` and `.a` name nothing.
        let end = endOfHost(from: range.lowerBound, to: range.upperBound)
        guard end > range.lowerBound, end == range.upperBound || isPort(end..<range.upperBound) else { return nil }
        return range.lowerBound..<(self[end - 1] == UInt8(ascii: ".") ? end - 1 : end)
    }

    /// `[IPv6 address]`, brackets included.
    private func literalHost(_ range: Range<Int>) -> Range<Int>? {
        var i = range.lowerBound + 1
        while i < range.upperBound, self[i] != UInt8(ascii: "]") {
            guard isHexadecimal(self[i]) || self[i] == UInt8(ascii: ":") || self[i] == UInt8(ascii: ".") else {
                return nil
            }
            i += 1
        }
        guard i < range.upperBound, i - range.lowerBound <= 46, isPort(i + 1..<range.upperBound) else { return nil }
        guard let address = IPAddress(extracting(range.lowerBound + 1..<i)), address.family == .v6 else { return nil }
        return range.lowerBound..<i + 1
    }

    /// Nothing, a colon, or a colon and a port from 1 to 65535.
    private func isPort(_ range: Range<Int>) -> Bool {
        guard !range.isEmpty else { return true }
        guard self[range.lowerBound] == UInt8(ascii: ":"), range.count <= 6 else { return false }
        if range.count == 1 { return true }
        var port = 0
        for i in range.lowerBound + 1..<range.upperBound {
            let digit = self[i] &- UInt8(ascii: "0")
            if digit > 9 { return false }
            port = port * 10 + Int(digit)
        }
        return port > 0 && port <= 65535
    }
}

private func isHexadecimal(_ byte: UInt8) -> Bool {
    byte &- UInt8(ascii: "0") < 10 || lowerCase(byte) &- UInt8(ascii: "a") < 6
}
