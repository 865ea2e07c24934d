// Keys that seal session tickets: the same in each worker, so that a client may resume at any of them.

/// The newest key seals; the one before it still opens what it has sealed.
package struct TicketKeys: Sendable {
    /// A name, a key of the cipher and one of the MAC.
    private static let keySize = 80
    /// Newest first.
    private(set) var bytes: [UInt8]

    package init() { bytes = Self.fresh() }

    /// A new key seals from now on. The one before the last is forgotten: whatever becomes known later, nobody can open what
    /// was sealed with it, and so nobody the sessions that it kept (RFC 5077 section 5.5).
    package mutating func rotate() { bytes = Self.fresh() + bytes.prefix(Self.keySize) }

    /// From the system's generator.
    private static func fresh() -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<keySize).map { _ in generator.next() }
    }
}
