// The one WebSocket frame that the gateway writes itself.
package import Bytes

/// Why a WebSocket ends, as its close frame says it (RFC 6455 section 7.4).
package struct CloseFrame: Sendable {
    package let code: UInt16
    /// One of our own words: a control frame has room for 123 bytes of it.
    package let reason: StaticString

    package init(code: UInt16, reason: StaticString) {
        self.code = code
        self.reason = reason
    }

    /// This end goes away: a stop, a reload, a connection on which nothing happens.
    package static func goingAway(_ reason: StaticString) -> CloseFrame { CloseFrame(code: 1001, reason: reason) }
    /// The credential is not good any more: 4401, one of the codes that are free for applications.
    package static func unauthenticated(_ reason: StaticString) -> CloseFrame {
        CloseFrame(code: 4401, reason: reason)
    }
    /// Whether it is good cannot be told now.
    package static func tryAgainLater(_ reason: StaticString) -> CloseFrame { CloseFrame(code: 1013, reason: reason) }

    /// Appends the frame. What goes to a server is masked (RFC 6455 section 5.3), what goes to a client is not.
    package func append(maskedBy key: UInt32? = nil, to out: inout ByteBuffer) {
        let count = reason.utf8CodeUnitCount
        precondition(count <= 123)
        out.append(byte: 0x88)
        out.append(byte: UInt8(count + 2) | (key == nil ? 0 : 0x80))
        if let key { for i in 0..<4 { out.append(byte: Self.octet(key, i)) } }
        var payload = ByteBuffer(capacity: 2 + count)
        payload.append(byte: UInt8(code >> 8))
        payload.append(byte: UInt8(truncatingIfNeeded: code))
        payload.append(reason)
        for i in 0..<payload.count { out.append(byte: payload.bytes[i] ^ (key.map { Self.octet($0, i & 3) } ?? 0)) }
    }
    private static func octet(_ key: UInt32, _ i: Int) -> UInt8 { UInt8(truncatingIfNeeded: key >> UInt32(24 - 8 * i)) }
}
