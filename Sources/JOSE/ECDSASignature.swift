// An ES256 signature, two numbers of 32 bytes side by side (RFC 7518 section 3.4), turned into the DER that OpenSSL reads.

struct ECDSASignature {
    /// SEQUENCE of two INTEGERs: 2 + 2 * (2 + 1 + 32) bytes at most.
    private var der = InlineArray<72, UInt8>(repeating: 0)
    private var count = 0

    /// The order of P-256, big-endian (SEC 2 section 2.4.2).
    private static let order: [UInt8] = [
        0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ]

    var bytes: Span<UInt8> { @_lifetime(borrow self) get { der.span.extracting(0..<count) } }

    /// False unless it is 64 bytes with 0 < r, s < n: a library that forgot this once took 64 zeros for anybody's signature
    /// of anything ("psychic signatures"), so it is checked here too.
    mutating func encode(_ signature: borrowing Span<UInt8>) -> Bool {
        guard signature.count == 64, Self.isInRange(signature, 0), Self.isInRange(signature, 32) else { return false }
        count = 2
        append(signature, 0)
        append(signature, 32)
        der[0] = 0x30
        der[1] = UInt8(count - 2)
        return true
    }

    private static func isInRange(_ signature: borrowing Span<UInt8>, _ start: Int) -> Bool {
        var isZero = true
        for i in 0..<32 where signature[start + i] != 0 { isZero = false }
        if isZero { return false }
        for i in 0..<32 where signature[start + i] != order[i] { return signature[start + i] < order[i] }
        return false
    }

    private mutating func append(_ signature: borrowing Span<UInt8>, _ start: Int) {
        var first = start
        while signature[first] == 0 { first += 1 }
        let isPadded = signature[first] & 0x80 != 0
        der[count] = 0x02
        der[count + 1] = UInt8(start + 32 - first + (isPadded ? 1 : 0))
        count += 2
        if isPadded {
            der[count] = 0
            count += 1
        }
        for i in first..<start + 32 {
            der[count] = signature[i]
            count += 1
        }
    }
}
