// Headers of the PROXY protocol, whole, cut at every byte, and damaged at every byte.
import Bytes
import Reactor
import Testing
import Transport

@Suite struct ProxyHeaderTests {
    private static let signature: [UInt8] = [0x0d, 0x0a, 0x0d, 0x0a, 0, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]

    private static func peer(_ text: String) -> PeerAddress? { SocketAddress(text).map { .socket($0) } }
    private static func binary(
        _ command: UInt8, _ family: UInt8, _ addresses: [UInt8], _ values: [UInt8] = []
    ) -> [UInt8] {
        let count = addresses.count + values.count
        return signature + [command, family, UInt8(count >> 8), UInt8(count & 255)] + addresses + values
    }
    private static let v4: [UInt8] = [203, 0, 113, 7, 192, 0, 2, 1, 0xd4, 0x31, 0x01, 0xbb]
    private static let v6: [UInt8] =
        [0x20, 0x01, 0x0d, 0xb8] + [UInt8](repeating: 0, count: 11) + [7] + [0x20, 0x01, 0x0d, 0xb8]
        + [UInt8](repeating: 0, count: 11) + [1, 0xd4, 0x31, 0x01, 0xbb]
    private static func read(_ bytes: [UInt8]) -> ProxyHeader.Reading { ProxyHeader.read(bytes.span) }
    /// A value of that type, as long as it is.
    private static func value(_ type: UInt8, _ bytes: [UInt8]) -> [UInt8] {
        [type, UInt8(bytes.count >> 8), UInt8(bytes.count & 255)] + bytes
    }

    /// Whole headers and whom they name; nil: whoever the connection is from by itself.
    static var headers: [([UInt8], PeerAddress?)] {
        [
            (Array("PROXY TCP4 203.0.113.7 192.0.2.1 54321 443\r\n".utf8), peer("203.0.113.7:54321")),
            (Array("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n".utf8), peer("255.255.255.255:65535")),
            (Array("PROXY TCP6 2001:db8::7 2001:db8::1 54321 443\r\n".utf8), peer("[2001:db8::7]:54321")),
            (Array("PROXY TCP6 ::ffff:203.0.113.7 ::1 54321 443\r\n".utf8), peer("203.0.113.7:54321")),
            (Array("PROXY UNKNOWN\r\n".utf8), nil),
            (Array("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n".utf8), nil),
            (binary(0x21, 0x11, v4), peer("203.0.113.7:54321")),
            (binary(0x21, 0x21, v6), peer("[2001:db8::7]:54321")),
            (binary(0x21, 0x31, [UInt8](repeating: 0x61, count: 216)), .unix),
            (binary(0x21, 0x00, []), nil),
            (binary(0x20, 0x00, []), nil),
            // A check of the balancer's own: what it says of addresses means nothing.
            (binary(0x20, 0x11, v4), nil),
            (binary(0x20, 0xff, [1, 2, 3]), nil),
            // Values that we know nothing of, and the one that fills up.
            (
                binary(0x21, 0x11, v4, value(0x05, [1, 2, 3]) + value(0x04, [0, 0]) + value(0xea, [])),
                peer("203.0.113.7:54321")
            ),
            (checked(binary(0x21, 0x11, v4, value(0x03, [0, 0, 0, 0]))), peer("203.0.113.7:54321")),
            (
                checked(binary(0x21, 0x21, v6, value(0x05, [9]) + value(0x03, [0, 0, 0, 0]))),
                peer("[2001:db8::7]:54321")
            ),
            (binary(0x21, 0x11, v4, value(0x20, [UInt8](repeating: 7, count: 4065))), peer("203.0.113.7:54321")),
        ]
    }
    /// With the checksum in the last four bytes, by a table where the parser goes bit by bit.
    private static func checked(_ header: [UInt8]) -> [UInt8] {
        let table = (0..<256).map { index -> UInt32 in
            (0..<8).reduce(UInt32(index)) { crc, _ in crc & 1 == 1 ? crc >> 1 ^ 0x82f6_3b78 : crc >> 1 }
        }
        let crc = ~header.reduce(UInt32.max) { table[Int(($0 ^ UInt32($1)) & 255)] ^ $0 >> 8 }
        return header.dropLast(4) + [UInt8(crc >> 24), UInt8(crc >> 16 & 255), UInt8(crc >> 8 & 255), UInt8(crc & 255)]
    }

    @Test(arguments: headers.indices) func `a header is read, whatever follows it`(_ index: Int) {
        let (header, peer) = Self.headers[index]
        #expect(Self.read(header) == .complete(count: header.count, peer))
        #expect(Self.read(header + Array("GET / HTTP/1.1\r\n".utf8)) == .complete(count: header.count, peer))
        #expect(Self.read(header + [0x16, 3, 1]) == .complete(count: header.count, peer))
    }
    @Test(arguments: headers.indices) func `a part of a header waits for the rest`(_ index: Int) {
        let header = Self.headers[index].0
        for count in 0..<header.count { #expect(Self.read(Array(header[..<count])) == .incomplete, "\(count) bytes") }
    }
    @Test(arguments: headers.indices) func `no damaged byte makes a header longer`(_ index: Int) {
        let header = Self.headers[index].0
        for place in 0..<min(header.count, 300) {
            for flip: UInt8 in [0x01, 0x20, 0x80, 0xff] {
                var damaged = header
                damaged[place] ^= flip
                if case .complete(let count, _) = Self.read(damaged) { #expect(count <= header.count) }
            }
        }
    }

    static var refusals: [([UInt8], ProxyHeaderError)] {
        let text: [(String, ProxyHeaderError)] = [
            ("GET / HTTP/1.1\r\n", .absent), ("PRI * HTTP/2.0\r\n", .absent), ("\u{16}", .absent), ("PROXX", .absent),
            ("proxy TCP4", .absent), ("PROXY\tTCP4", .absent), ("\r\n\r\nGET", .absent), ("\r\n\r\nG", .absent),
            ("PROXY \r\n", .line), ("PROXY TCP4\r\n", .line), ("PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n", .line),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", .lineTooLong), ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rX", .line),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", .line), ("PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n", .line),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", .line), ("PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n", .line),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n", .line), ("PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n", .line),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n", .line), ("PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n", .line),
            ("PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n", .line), ("PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n", .line),
            ("PROXY TCP4 ::1 ::1 1 2\r\n", .line), ("PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n", .line),
            ("PROXY TCP6 ::1%lo ::1 1 2\r\n", .line), ("PROXY TCP4 1.2.3.4 localhost 1 2\r\n", .line),
            ("PROXY UNKNOWNX\r\n", .line), ("PROXY unknown\r\n", .line), ("PROXY UNKNOWN a\nb\r\n", .line),
            ("PROXY UNKNOWN \u{0}\r\n", .line),
        ]
        return text.map { (Array(($0.0 == "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n" ? $0.0 + filler : $0.0).utf8), $0.1) } + [
            (Array("PROXY UNKNOWN \(filler)\r\n".utf8), .lineTooLong),
            (binary(0x11, 0x11, v4), .version), (binary(0x22, 0x11, v4), .version), (binary(0x2f, 0x11, v4), .version),
            (binary(0x31, 0x11, v4), .version), (binary(0x21, 0x12, v4), .family), (binary(0x21, 0x22, v6), .family),
            (binary(0x21, 0x10, v4), .family), (binary(0x21, 0x01, v4), .family), (binary(0x21, 0x41, v4), .family),
            (binary(0x21, 0x32, v6), .family), (binary(0x21, 0x11, Array(v4.dropLast())), .family),
            (binary(0x21, 0x21, v4), .family), (binary(0x21, 0x31, v6), .family),
            (binary(0x21, 0x11, v4, [UInt8](repeating: 0, count: 4069)), .tooLong),
            (binary(0x20, 0x11, v4, [UInt8](repeating: 0, count: 65_000)), .tooLong),
            (binary(0x21, 0x11, v4, [5]), .values), (binary(0x21, 0x11, v4, [5, 0]), .values),
            (binary(0x21, 0x11, v4, [5, 0, 1]), .values),
            (binary(0x21, 0x11, v4, value(5, []) + [4, 255, 255]), .values),
            (binary(0x21, 0x11, v4, value(3, [0, 0, 0])), .values),
            (binary(0x21, 0x11, v4, value(3, [0, 0, 0, 0])), .checksum),
            (checked(binary(0x21, 0x11, v4, value(3, [1, 2, 3, 4]) + value(3, [0, 0, 0, 0]))), .values),
        ]
    }
    private static let filler = String(repeating: "x", count: 100)
    @Test(arguments: refusals.indices) func `what is no header is refused`(_ index: Int) {
        let (bytes, error) = Self.refusals[index]
        #expect(Self.read(bytes) == .malformed(error), "\(String(decoding: bytes, as: UTF8.self))")
    }
    @Test func `a damaged checksum or address is noticed where there is a checksum`() {
        let header = Self.checked(Self.binary(0x21, 0x11, Self.v4, Self.value(5, [1]) + Self.value(3, [0, 0, 0, 0])))
        for place in 16..<28 {
            var damaged = header
            damaged[place] ^= 0x10
            #expect(Self.read(damaged) == .malformed(.checksum), "byte \(place)")
        }
    }
    @Test func `no prefix of anything is waited for beyond the longest header`() {
        let line = Array("PROXY UNKNOWN ".utf8) + [UInt8](repeating: 0x61, count: 200)
        for count in 108..<line.count { #expect(Self.read(Array(line[..<count])) == .malformed(.lineTooLong)) }
        // The length is read before anything that it announces has come.
        let binary = Self.signature + [0x21, 0x11, 0xff, 0xff]
        #expect(Self.read(binary) == .malformed(.tooLong))
    }

    @Test(arguments: [ProxyHeader.Version.one, .two]) func `what is written is read`(_ version: ProxyHeader.Version) {
        let ends: [(String?, String?, String?)] = [
            ("203.0.113.7:54321", "192.0.2.1:443", "203.0.113.7:54321"),
            ("[2001:db8::7]:1", "[2001:db8::1]:65535", "[2001:db8::7]:1"),
            ("203.0.113.7:54321", "[::1]:443", "203.0.113.7:54321"),
            ("[2001:db8::7]:1", "127.0.0.1:80", "[2001:db8::7]:1"), (nil, "127.0.0.1:80", nil),
            ("203.0.113.7:54321", nil, nil),
        ]
        for (source, destination, read) in ends {
            let header = ProxyHeader.write(
                version, from: source.flatMap { SocketAddress($0) }, to: destination.flatMap { SocketAddress($0) })
            #expect(Self.read(header) == .complete(count: header.count, read.flatMap(Self.peer)))
        }
    }
}
