// The three parts of a token in the compact form (RFC 7515 section 7.1), as ranges: nothing is copied or decoded.
import Bytes

package struct CompactJWS {
    package let header: Range<Int>
    package let payload: Range<Int>
    /// May be empty: what that means depends on `alg`, which is not known yet.
    package let signature: Range<Int>

    /// Of claims that were never part of a token.
    static var none: CompactJWS { CompactJWS() }
    private init() {
        header = 0..<0
        payload = 0..<0
        signature = 0..<0
    }

    /// What the signature is over (RFC 7515 section 5.2 step 8).
    package var signedCount: Int { payload.upperBound }

    /// One pass, whatever the number of dots (a token of 100 000 dots costs other parsers 100 000 strings).
    package init(_ token: borrowing Span<UInt8>, maximumBytes: Int) throws(TokenRefusal) {
        guard token.count <= maximumBytes else { throw .tooLarge }
        var dots = 0
        var first = 0
        var second = 0
        var at = token.first(UInt8(ascii: "."), from: 0, to: token.count)
        while at < token.count {
            dots += 1
            if dots == 1 { first = at } else if dots == 2 { second = at } else if dots > 4 { break }
            at = token.first(UInt8(ascii: "."), from: at + 1, to: token.count)
        }
        // Five parts are a JWE (RFC 7516 section 7.1), and nobody here holds a key to open one.
        if dots == 4 { throw .encrypted }
        guard dots == 2, first > 0, second > first + 1 else { throw .malformed }
        header = 0..<first
        payload = first + 1..<second
        signature = second + 1..<token.count
    }
}
