// What a balancer says about a connection before the connection's own first byte: the PROXY protocol, versions 1 (a line of
// text) and 2 (binary). Pure: bytes to a value and back.
package import Bytes
package import Reactor

/// Why what stands at the front of a connection is no such header.
package enum ProxyHeaderError: Error, Equatable, Sendable {
    /// The connection begins with something else.
    case absent
    case line, lineTooLong
    case version, family, tooLong, values, checksum

    package var reason: StaticString {
        switch self {
        case .absent: "no PROXY protocol header"
        case .line: "malformed line of PROXY protocol version 1"
        case .lineTooLong: "line of PROXY protocol version 1 over 107 bytes"
        case .version: "unknown version or command of the PROXY protocol"
        case .family: "unknown address family or too short an address in PROXY protocol version 2"
        case .tooLong: "header of PROXY protocol version 2 over 4096 bytes"
        case .values: "malformed values (TLV) in PROXY protocol version 2"
        case .checksum: "wrong checksum (CRC32C) in PROXY protocol version 2"
        }
    }
}

package enum ProxyHeader {
    package enum Reading: Equatable {
        /// So many bytes, which tell whom the connection is from. Nil: from whoever it seems to be from; the balancer looks
        /// after us, or does not know better.
        case complete(count: Int, PeerAddress?)
        case incomplete
        case malformed(ProxyHeaderError)
    }
    package enum Version: UInt8, Sendable { case one = 1, two = 2 }

    /// Bytes of the longest header that is read: addresses, and what a balancer adds about TLS. Its length field could
    /// announce 64 KiB.
    package static let maximumSize = 4096
    /// With the longest addresses, by the specification.
    static let maximumLineSize = 107
    private static let signature: [UInt8] = [
        0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a,
    ]
    /// Signature, version and command, family, length.
    private static let fixedSize = 16

    /// Looks at the front of `s`; what follows the header is not looked at.
    package static func read(_ s: borrowing Span<UInt8>) -> Reading {
        guard s.count > 0 else { return .incomplete }
        return s[0] == UInt8(ascii: "P") ? readLine(s) : readBinary(s)
    }
}

// MARK: version 1

extension ProxyHeader {
    private static func readLine(_ s: borrowing Span<UInt8>) -> Reading {
        var i = 0
        for byte in "PROXY ".utf8 {
            if i == s.count { return .incomplete }
            if s[i] != byte { return .malformed(.absent) }
            i += 1
        }
        while i < s.count, s[i] != UInt8(ascii: "\r") {
            i += 1
            if i + 2 > maximumLineSize { return .malformed(.lineTooLong) }
        }
        guard i + 1 < s.count else { return .incomplete }
        guard s[i + 1] == UInt8(ascii: "\n") else { return .malformed(.line) }
        var text = ""
        for k in 6..<i {
            // A bare line feed, or anything else that is no plain text.
            guard s[k] >= 0x20 && s[k] < 0x7f else { return .malformed(.line) }
            text.unicodeScalars.append(Unicode.Scalar(s[k]))
        }
        guard let peer = peer(ofLine: text) else { return .malformed(.line) }
        return .complete(count: i + 2, peer)
    }

    /// `TCP4 SOURCE DESTINATION PORT PORT`, or `UNKNOWN` and whatever follows it. Nil: neither.
    private static func peer(ofLine text: String) -> PeerAddress?? {
        if text == "UNKNOWN" || text.hasPrefix("UNKNOWN ") { return .some(nil) }
        let words = text.split(separator: " ", omittingEmptySubsequences: false)
        guard words.count == 5, words[0] == "TCP4" || words[0] == "TCP6" else { return nil }
        let family: IPAddress.Family = words[0] == "TCP4" ? .v4 : .v6
        guard let source = IPAddress(String(words[1])), source.family == family,
            let destination = IPAddress(String(words[2])), destination.family == family,
            let port = readPort(words[3]), readPort(words[4]) != nil
        else { return nil }
        return .some(.socket(SocketAddress(address: source.unmapped, port: port)))
    }
    private static func readPort(_ digits: Substring) -> UInt16? {
        guard let port = UInt16(digits), String(port) == digits else { return nil }
        return port
    }
}

// MARK: version 2

extension ProxyHeader {
    private static func readBinary(_ s: borrowing Span<UInt8>) -> Reading {
        for i in 0..<min(s.count, signature.count) where s[i] != signature[i] { return .malformed(.absent) }
        guard s.count >= fixedSize else { return .incomplete }
        // Commands are LOCAL and PROXY.
        guard s[12] == 0x20 || s[12] == 0x21 else { return .malformed(.version) }
        let count = fixedSize + number(s, 14)
        guard count <= maximumSize else { return .malformed(.tooLong) }
        guard s.count >= count else { return .incomplete }
        // Its own connection, to see whether we live: what follows means nothing.
        if s[12] == 0x20 { return .complete(count: count, nil) }
        guard let size = addressSize(s[13]), fixedSize + size <= count else { return .malformed(.family) }
        if let error = checkValues(s.extracting(0..<count), from: fixedSize + size) { return .malformed(error) }
        return .complete(count: count, peer(s, family: s[13]))
    }

    /// Bytes of both addresses and ports. Connections are streams: datagrams are nothing that we could have been sent.
    private static func addressSize(_ family: UInt8) -> Int? {
        switch family {
        case 0x00: 0
        case 0x11: 12
        case 0x21: 36
        case 0x31: 216
        default: nil
        }
    }
    private static func peer(_ s: borrowing Span<UInt8>, family: UInt8) -> PeerAddress? {
        switch family {
        case 0x11:
            let address = IPAddress(v4: UInt32(truncatingIfNeeded: octets(s, 16, 4)))
            return .socket(SocketAddress(address: address, port: UInt16(number(s, 24))))
        case 0x21:
            let address = IPAddress(v6: octets(s, 16, 8), octets(s, 24, 8)).unmapped
            return .socket(SocketAddress(address: address, port: UInt16(number(s, 48))))
        case 0x31: return .unix
        default: return nil
        }
    }
    private static func octets(_ s: borrowing Span<UInt8>, _ start: Int, _ count: Int) -> UInt64 {
        var value: UInt64 = 0
        for i in start..<start + count { value = value << 8 | UInt64(s[i]) }
        return value
    }
    private static func number(_ s: borrowing Span<UInt8>, _ i: Int) -> Int { Int(s[i]) << 8 | Int(s[i + 1]) }

    /// What follows the addresses: type, length, value. Only a checksum means something to us.
    private static func checkValues(_ s: borrowing Span<UInt8>, from start: Int) -> ProxyHeaderError? {
        var i = start
        var checksum: Int?
        while i < s.count {
            guard i + 3 <= s.count else { return .values }
            let count = number(s, i + 1)
            guard i + 3 + count <= s.count else { return .values }
            if s[i] == 0x03 {
                guard count == 4, checksum == nil else { return .values }
                checksum = i + 3
            }
            i += 3 + count
        }
        guard let checksum else { return nil }
        let said = UInt32(truncatingIfNeeded: octets(s, checksum, 4))
        return crc32c(s, zeroing: checksum..<checksum + 4) == said ? nil : .checksum
    }
    /// CRC-32C (RFC 3720 appendix B.4) with zeros in place of `hole`.
    private static func crc32c(_ s: borrowing Span<UInt8>, zeroing hole: Range<Int>) -> UInt32 {
        var crc: UInt32 = 0xffff_ffff
        for i in 0..<s.count {
            crc ^= hole.contains(i) ? 0 : UInt32(s[i])
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0x82f6_3b78 : crc >> 1 }
        }
        return ~crc
    }
}

// MARK: towards upstreams

extension ProxyHeader {
    /// Tells an upstream whom a connection is for, and by which address it came. An IPv4 address beside an IPv6 one is
    /// written as IPv6 has it. Nil: nobody knows, or there is no such address (a UNIX socket).
    package static func write(
        _ version: Version, from source: SocketAddress?, to destination: SocketAddress?
    ) -> [UInt8] {
        guard let source, let destination else {
            return version == .one ? Array("PROXY UNKNOWN\r\n".utf8) : start(family: 0, count: 0)
        }
        let isV4 = source.address.family == .v4 && destination.address.family == .v4
        let ends = isV4 ? (source.address, destination.address) : (mapped(source.address), mapped(destination.address))
        if version == .one {
            let addresses = "\(isV4 ? "TCP4" : "TCP6") \(ends.0.text) \(ends.1.text)"
            return Array("PROXY \(addresses) \(source.port) \(destination.port)\r\n".utf8)
        }
        let count: UInt8 = isV4 ? 12 : 36
        return start(family: isV4 ? 0x11 : 0x21, count: count) + ends.0.octets + ends.1.octets + bytes(source.port)
            + bytes(destination.port)
    }
    private static func start(family: UInt8, count: UInt8) -> [UInt8] { signature + [0x21, family, 0, count] }
    private static func bytes(_ port: UInt16) -> [UInt8] { [UInt8(port >> 8), UInt8(port & 0xff)] }
    /// RFC 4291 section 2.5.5.2.
    private static func mapped(_ address: IPAddress) -> IPAddress {
        address.family == .v6 ? address : IPAddress(v6: 0, 0xffff_0000_0000 | address.low)
    }
}
