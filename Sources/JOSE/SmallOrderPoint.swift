// The points of the Edwards curves whose order divides the cofactor: as a public key each of them takes signatures that need
// no secret (RFC 8032 section 5.1.7 leaves it to whoever accepts the key).

enum SmallOrderPoint {
    /// The y coordinates, little-endian, canonical or not (0, 1, -1, the two of order 8, p and p + 1); the sign of x is left
    /// out, for with a point its negative is of small order too.
    private static let ed25519: [[UInt8]] = [
        padded([], with: 0, to: 32, last: 0),
        padded([1], with: 0, to: 32, last: 0),
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
            0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
            0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
        ],
        padded([0xec], with: 0xff, to: 32, last: 0x7f),
        padded([0xed], with: 0xff, to: 32, last: 0x7f),
        padded([0xee], with: 0xff, to: 32, last: 0x7f),
    ]
    /// 0, 1 and -1; the library takes no others that are not canonical (p = 2^448 - 2^224 - 1).
    private static let ed448: [[UInt8]] = [
        padded([], with: 0, to: 57, last: 0),
        padded([1], with: 0, to: 57, last: 0),
        padded(padded([0xfe], with: 0xff, to: 28, last: 0xff) + [0xfe], with: 0xff, to: 57, last: 0),
    ]

    /// Whether that key is one of them.
    static func isKey(_ material: JSONWebKey.Material) -> Bool {
        switch material {
        case .rsa, .ec, .secret: false
        case .ed25519(let point): ed25519.contains(withoutSign(point))
        case .ed448(let point): ed448.contains(withoutSign(point))
        }
    }

    private static func withoutSign(_ point: [UInt8]) -> [UInt8] {
        point.dropLast() + point.suffix(1).map { $0 & 0x7f }
    }

    private static func padded(_ start: [UInt8], with byte: UInt8, to count: Int, last: UInt8) -> [UInt8] {
        start + [UInt8](repeating: byte, count: count - 1 - start.count) + [last]
    }
}
