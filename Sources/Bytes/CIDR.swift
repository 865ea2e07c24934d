// A block of addresses: `10.0.0.0/8`, `2001:db8::/32`.

/// Addresses that share their first bits.
package struct CIDR: Sendable, Hashable, BitwiseCopyable {
    package let address: IPAddress
    /// Leading bits that must agree: 0…32 or 0…128.
    package let prefixLength: Int

    /// An address alone is a block of one. Nil when bits after the prefix are set: then the block meant is not the one said.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let address = IPAddress(String(parts[0])) else { return nil }
        let width = address.octetCount * 8
        var length = width
        if parts.count == 2 {
            guard let said = Int(parts[1]), said >= 0, said <= width, String(said) == parts[1] else { return nil }
            length = said
        }
        let (high, low) = Self.mask(address.family, length)
        guard address.high & ~high == 0, address.low & ~low == 0 else { return nil }
        self.address = address
        prefixLength = length
    }

    /// Families never mix: an IPv4-mapped IPv6 address is in no IPv4 block.
    package func contains(_ other: IPAddress) -> Bool {
        let (high, low) = Self.mask(address.family, prefixLength)
        return other.family == address.family && other.high & high == address.high && other.low & low == address.low
    }

    /// Masks over `high` and `low`; an IPv4 address is the low 32 bits of `low`, whose other bits are zero anyway.
    private static func mask(_ family: IPAddress.Family, _ length: Int) -> (UInt64, UInt64) {
        let bits = family == .v4 ? length + 96 : length
        // A shift by 64 or more gives 0 with Swift's smart shifts, so no case needs its own line.
        return (UInt64.max << max(0, 64 - bits), UInt64.max << min(64, max(0, 128 - bits)))
    }
}

extension CIDR: CustomStringConvertible {
    package var description: String { "\(address.text)/\(prefixLength)" }
}
