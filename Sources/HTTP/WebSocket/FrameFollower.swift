// Follows the frames of a WebSocket as they pass, by their headers alone: where one ends, another may be put in.
import Bytes

/// One direction of one connection. Payloads are counted, never read; what a header means is for those who talk.
package struct FrameFollower: BitwiseCopyable {
    private static let close: UInt8 = 8
    private static let maskingKeySize: UInt64 = 4

    /// Bytes of the masking key and the payload that are still to come.
    private var left: UInt64 = 0
    /// Of the header that is being read.
    private var length: UInt64 = 0
    private var lengthBytes: UInt8 = 0
    private var headerBytes: UInt8 = 0
    private var opcode: UInt8 = 0
    private var isMasked = false
    /// A close frame passed: nothing may follow it (RFC 6455 section 5.5.1).
    package private(set) var hasClosed = false

    package init() {}

    package var isBetweenFrames: Bool { left == 0 && headerBytes == 0 }

    /// All of the bytes pass.
    package mutating func follow(_ bytes: borrowing Span<UInt8>) { _ = pass(bytes, stopping: false) }
    /// How many bytes there are to the end of the frame that is passing; these pass.
    package mutating func followToEnd(_ bytes: borrowing Span<UInt8>) -> Int { pass(bytes, stopping: true) }

    private mutating func pass(_ bytes: borrowing Span<UInt8>, stopping: Bool) -> Int {
        var i = 0
        while i < bytes.count {
            if stopping && isBetweenFrames { break }
            if left == 0 {
                take(bytes[i])
                i += 1
            } else {
                let count = Int(min(left, UInt64(bytes.count - i)))
                left -= UInt64(count)
                i += count
            }
        }
        return i
    }

    /// One byte of a header (RFC 6455 section 5.2).
    private mutating func take(_ byte: UInt8) {
        headerBytes += 1
        switch headerBytes {
        case 1: opcode = byte & 0x0f
        case 2:
            isMasked = byte & 0x80 != 0
            length = UInt64(byte & 0x7f)
            lengthBytes = length == 126 ? 2 : length == 127 ? 8 : 0
            if lengthBytes > 0 { length = 0 } else { begin() }
        default:
            length = length << 8 | UInt64(byte)
            if headerBytes == lengthBytes + 2 { begin() }
        }
    }
    private mutating func begin() {
        headerBytes = 0
        if opcode == Self.close { hasClosed = true }
        let (sum, isTooMuch) = length.addingReportingOverflow(isMasked ? Self.maskingKeySize : 0)
        left = isTooMuch ? .max : sum
    }
}
