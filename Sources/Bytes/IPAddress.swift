// An address of a host, IPv4 or IPv6: parsed strictly, written as RFC 5952 says, ready for a `sockaddr`.

/// An IPv4 or IPv6 address as a plain value; an IPv4-mapped IPv6 address is not the IPv4 address.
package struct IPAddress: Sendable, Hashable, BitwiseCopyable {
    package enum Family: UInt8, Sendable, BitwiseCopyable { case v4, v6 }

    /// Bytes of the longest text form: eight groups of four digits and seven colons.
    package static let maximumTextCount = 39

    package let family: Family
    /// The first eight octets of an IPv6 address, most significant first; 0 for IPv4.
    package let high: UInt64
    /// The last eight octets of an IPv6 address; for IPv4 its four octets in the low half.
    package let low: UInt64

    /// `v4` with the first octet as the most significant one: 127.0.0.1 is 0x7f00_0001.
    package init(v4: UInt32) {
        family = .v4
        high = 0
        low = UInt64(v4)
    }
    package init(v6 high: UInt64, _ low: UInt64) {
        family = .v6
        self.high = high
        self.low = low
    }
    /// Dotted quads without leading zeros (which some read as octal), or RFC 4291 text; nil for anything else, zones
    /// included. Allocates nothing.
    package init?(_ text: borrowing Span<UInt8>) {
        if let v4 = Self.parseV4(text, from: 0) {
            self.init(v4: v4)
        } else if let (high, low) = Self.parseV6(text) {
            self.init(v6: high, low)
        } else {
            return nil
        }
    }
    package init?(_ text: String) {
        let bytes = Array(text.utf8)
        self.init(bytes.span)
    }

    package static var anyV4: IPAddress { IPAddress(v4: 0) }
    package static var anyV6: IPAddress { IPAddress(v6: 0, 0) }
    package static var loopbackV4: IPAddress { IPAddress(v4: 0x7f00_0001) }

    /// Octets in network order: 4 or 16 of them.
    package var octetCount: Int { family == .v4 ? 4 : 16 }
    /// One octet, counted from the most significant.
    package func octet(_ index: Int) -> UInt8 {
        precondition(index >= 0 && index < octetCount)
        if family == .v4 { return UInt8(truncatingIfNeeded: low >> UInt64(24 - 8 * index)) }
        let word = index < 8 ? high : low
        return UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * (index & 7)))
    }
    /// All octets in network order, as `in_addr` and `in6_addr` hold them.
    package var octets: [UInt8] { (0..<octetCount).map(octet) }

    /// 127.0.0.0/8 or ::1.
    package var isLoopback: Bool { family == .v4 ? low >> 24 == 127 : high == 0 && low == 1 }
    /// 0.0.0.0 or ::
    package var isUnspecified: Bool { high == 0 && low == 0 }

    /// The IPv4 address that a balancer wrote as IPv6 (RFC 4291 section 2.5.5.2): rules about addresses know it as IPv4.
    package var unmapped: IPAddress {
        high == 0 && low >> 32 == 0xffff ? IPAddress(v4: UInt32(truncatingIfNeeded: low)) : self
    }

    /// This machine or its link, where services listen that trust whoever reaches them, instance metadata among them:
    /// 127.0.0.0/8, 0.0.0.0/8, 169.254.0.0/16, ::1, ::, fe80::/10, the IPv6 forms of those IPv4 addresses, and
    /// fd00:ec2::254.
    package var isInternal: Bool {
        if let v4 = innerV4 { return v4 >> 24 == 127 || v4 >> 24 == 0 || v4 >> 16 == 0xa9fe }
        return high >> 54 == 0xfe80 >> 6 || (high == 0xfd00_0ec2_0000_0000 && low == 0x254)
    }
    /// The IPv4 address that this one is or stands for: `::ffff:a.b.c.d`, `::a.b.c.d` (RFC 4291 section 2.5.5),
    /// `64:ff9b::a.b.c.d` (RFC 6052 section 2.1).
    private var innerV4: UInt32? {
        let prefix = low >> 32
        let stands = high == 0 ? prefix == 0 || prefix == 0xffff : high == 0x0064_ff9b_0000_0000 && prefix == 0
        return family == .v4 || stands ? UInt32(truncatingIfNeeded: low) : nil
    }
}

extension IPAddress {
    private static func parseV4(_ s: borrowing Span<UInt8>, from start: Int) -> UInt32? {
        var value: UInt32 = 0, octet: UInt32 = 0
        var digits = 0, dots = 0
        for i in start..<s.count {
            if s[i] == UInt8(ascii: ".") {
                guard digits > 0, dots < 3 else { return nil }
                value = value << 8 | octet
                octet = 0
                digits = 0
                dots += 1
                continue
            }
            let digit = s[i] &- UInt8(ascii: "0")
            guard digit <= 9, digits == 0 || octet > 0 else { return nil }
            octet = octet * 10 + UInt32(digit)
            digits += 1
            guard octet <= 255 else { return nil }
        }
        return dots == 3 && digits > 0 ? value << 8 | octet : nil
    }

    private static func parseV6(_ s: borrowing Span<UInt8>) -> (UInt64, UInt64)? {
        let colon = UInt8(ascii: ":")
        guard s.count >= 2 else { return nil }
        var groups: UInt128 = 0
        var count = 0, i = 0
        /// How many groups stand before the `::`.
        var gap: Int?
        if s[0] == colon {
            guard s[1] == colon else { return nil }
            gap = 0
            i = 2
        }
        while i < s.count {
            guard let (group, width, next) = parseGroup(s, i), count + width <= 8 else { return nil }
            groups = groups << UInt128(16 * width) | UInt128(group)
            count += width
            i = next
            if i == s.count { break }
            guard s[i] == colon, i + 1 < s.count else { return nil }
            i += 1
            if s[i] == colon {
                guard gap == nil else { return nil }
                gap = count
                i += 1
            }
        }
        guard let gap else { return count == 8 ? halves(groups) : nil }
        guard count <= 7 else { return nil }
        let behind = UInt128(16 * (count - gap))
        let before = (groups >> behind) << UInt128(128 - 16 * gap)
        return halves(before | groups & (1 << behind - 1))
    }

    /// The group at `start`, its width and what follows it; a dotted quad, which ends the text, counts as two.
    private static func parseGroup(_ s: borrowing Span<UInt8>, _ start: Int) -> (UInt32, width: Int, next: Int)? {
        var group: UInt32 = 0
        var i = start
        while i < s.count, i - start < 4, let digit = hexDigit(s[i]) {
            group = group << 4 | digit
            i += 1
        }
        if i < s.count, s[i] == UInt8(ascii: ".") { return parseV4(s, from: start).map { ($0, 2, s.count) } }
        return i > start ? (group, 1, i) : nil
    }

    private static func hexDigit(_ byte: UInt8) -> UInt32? {
        switch byte {
        case 0x30...0x39: UInt32(byte - 0x30)
        case 0x41...0x46: UInt32(byte - 0x41 + 10)
        case 0x61...0x66: UInt32(byte - 0x61 + 10)
        default: nil
        }
    }

    private static func halves(_ groups: UInt128) -> (UInt64, UInt64) {
        (UInt64(truncatingIfNeeded: groups >> 64), UInt64(truncatingIfNeeded: groups))
    }
}

extension IPAddress: CustomStringConvertible {
    /// `192.0.2.1`, `2001:db8::1`
    package var text: String {
        var bytes = [UInt8](repeating: 0, count: Self.maximumTextCount)
        var span = bytes.mutableSpan
        let count = writeText(&span)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }
    package var description: String { text }

    /// Appends the text form; allocates nothing when the buffer has room.
    package func appendText(to buffer: inout ByteBuffer) {
        buffer.reserve(Self.maximumTextCount)
        var free = buffer.free
        let count = writeText(&free)
        buffer.commit(count)
    }

    /// Writes the text form at the front of `out`, which has room for `maximumTextCount` bytes; returns how many it
    /// took.
    package func writeText(_ out: inout MutableSpan<UInt8>) -> Int {
        var count = 0
        if family == .v4 {
            for index in 0..<4 {
                if index > 0 { Self.put(UInt8(ascii: "."), &out, &count) }
                Self.putDecimal(octet(index), &out, &count)
            }
            return count
        }
        let gap = longestZeroRun
        var index = 0
        while index < 8 {
            if index == gap.lowerBound, !gap.isEmpty {
                Self.put(UInt8(ascii: ":"), &out, &count)
                Self.put(UInt8(ascii: ":"), &out, &count)
                index = gap.upperBound
                continue
            }
            if index > 0, index != gap.upperBound || gap.isEmpty { Self.put(UInt8(ascii: ":"), &out, &count) }
            Self.putHex(group(index), &out, &count)
            index += 1
        }
        return count
    }

    private func group(_ index: Int) -> UInt16 {
        UInt16(truncatingIfNeeded: (index < 4 ? high : low) >> UInt64(48 - 16 * (index & 3)))
    }

    /// The first of the longest runs of two or more zero groups (RFC 5952 section 4.2).
    private var longestZeroRun: Range<Int> {
        var best = 0..<0
        var start = 0
        for index in 0...8 where index == 8 || group(index) != 0 {
            if index - start >= 2, index - start > best.count { best = start..<index }
            start = index + 1
        }
        return best
    }

    private static func put(_ byte: UInt8, _ out: inout MutableSpan<UInt8>, _ count: inout Int) {
        out[count] = byte
        count += 1
    }
    private static func putDecimal(_ octet: UInt8, _ out: inout MutableSpan<UInt8>, _ count: inout Int) {
        if octet >= 100 { put(0x30 + octet / 100, &out, &count) }
        if octet >= 10 { put(0x30 + octet / 10 % 10, &out, &count) }
        put(0x30 + octet % 10, &out, &count)
    }
    private static func putHex(_ group: UInt16, _ out: inout MutableSpan<UInt8>, _ count: inout Int) {
        var shift: UInt16 = 12
        while shift > 0, group >> shift == 0 { shift -= 4 }
        while true {
            let digit = UInt8(truncatingIfNeeded: group >> shift & 0xf)
            put(digit < 10 ? 0x30 + digit : 0x61 + digit - 10, &out, &count)
            if shift == 0 { return }
            shift -= 4
        }
    }
}
