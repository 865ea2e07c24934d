// An ECDSA signature, two numbers side by side (RFC 7518 section 3.4), turned into the DER that OpenSSL reads.

struct ECDSASignature {
    /// SEQUENCE of two INTEGERs of at most 66 bytes: 3 + 2 * (2 + 66) at most. A padding zero is needed only by the smaller
    /// curves, for the first of those 66 bytes is 0 or 1.
    private var der = InlineArray<144, UInt8>(repeating: 0)
    private var start = 0
    private var count = 0

    var bytes: Span<UInt8> { @_lifetime(borrow self) get { der.span.extracting(start..<count) } }

    /// False unless it is two numbers of the curve's width with 0 < r, s < n: a library that forgot this once took 64 zeros for
    /// anybody's signature of anything ("psychic signatures"), so it is checked here too.
    mutating func encode(_ signature: borrowing Span<UInt8>, on curve: EllipticCurve) -> Bool {
        let width = curve.width
        let order = curve.order
        guard signature.count == 2 * width, Self.isInRange(signature, 0, order.span),
            Self.isInRange(signature, width, order.span)
        else { return false }
        count = 3
        append(signature, 0, width)
        append(signature, width, width)
        let content = count - 3
        // From 128 bytes up, the length takes two (X.690 section 8.1.3).
        start = content < 128 ? 1 : 0
        der[start] = 0x30
        if start == 0 { der[1] = 0x81 }
        der[2] = UInt8(content)
        return true
    }

    private static func isInRange(
        _ signature: borrowing Span<UInt8>, _ start: Int, _ order: borrowing Span<UInt8>
    ) -> Bool {
        var isZero = true
        for i in 0..<order.count where signature[start + i] != 0 { isZero = false }
        if isZero { return false }
        for i in 0..<order.count where signature[start + i] != order[i] { return signature[start + i] < order[i] }
        return false
    }

    private mutating func append(_ signature: borrowing Span<UInt8>, _ start: Int, _ width: Int) {
        var first = start
        while signature[first] == 0 { first += 1 }
        let isPadded = signature[first] & 0x80 != 0
        der[count] = 0x02
        der[count + 1] = UInt8(start + width - first + (isPadded ? 1 : 0))
        count += 2
        if isPadded {
            der[count] = 0
            count += 1
        }
        for i in first..<start + width {
            der[count] = signature[i]
            count += 1
        }
    }
}
