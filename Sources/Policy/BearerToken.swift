// Finds the bearer token in a request's Authorization field (RFC 6750 section 2.1).
import Bytes
package import HTTP

package enum BearerToken {
    /// Where in the head the token lies. Its characters were not looked at yet.
    case found(Range<Int>)
    /// No credentials of this kind: a challenge without an error (RFC 6750 section 3.1).
    case missing
    /// Credentials that could be read in two ways, or not at all.
    case invalid

    /// Two Authorization fields: whoever reads the first and whoever reads the last see two different persons. Refused with
    /// `invalid_request` on every route, public ones too.
    package static func isRepeated(_ head: borrowing RequestHead) -> Bool { head.count(of: .authorization) > 1 }

    package init(_ head: borrowing RequestHead) {
        if Self.isRepeated(head) {
            self = .invalid
            return
        }
        guard let value = head.value(of: .authorization), !value.isEmpty else {
            self = .missing
            return
        }
        let bytes = head.bytes
        guard value.count >= 6, bytes.folds(value.lowerBound, to: "bearer") else {
            self = Self.isBareToken(bytes, value) ? .invalid : .missing
            return
        }
        // 1*SP, and nothing else, stands between scheme and token (RFC 9110 section 11.4).
        var start = value.lowerBound + 6
        while start < value.upperBound, bytes[start] == UInt8(ascii: " ") { start += 1 }
        let hasToken = start > value.lowerBound + 6 && start < value.upperBound && bytes[start] != UInt8(ascii: "\t")
        self = hasToken ? .found(start..<value.upperBound) : .invalid
    }

    /// Whether more than one credential stands in the field: a comma or a blank in it. A good token has neither, so this is
    /// asked only of those that are malformed.
    static func hasSeveralParts(_ token: borrowing Span<UInt8>) -> Bool {
        // A token in JSON has commas of its own, and is simply no token here.
        if token.count > 0, token[0] == UInt8(ascii: "{") { return false }
        for i in 0..<token.count {
            let byte = token[i]
            if byte == UInt8(ascii: ",") || byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") { return true }
        }
        return false
    }

    /// A token without its scheme: one word with two dots.
    private static func isBareToken(_ bytes: borrowing Span<UInt8>, _ value: Range<Int>) -> Bool {
        var dots = 0
        for i in value {
            let byte = bytes[i]
            if byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") { return false }
            if byte == UInt8(ascii: ".") { dots += 1 }
        }
        return dots == 2
    }
}
