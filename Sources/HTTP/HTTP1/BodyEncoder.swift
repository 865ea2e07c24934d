// Writing a body in the framing of the message it travels in.
package import Bytes

/// Frames the data of one body.
package struct BodyEncoder: BitwiseCopyable {
    package let framing: BodyFraming

    package init(_ framing: BodyFraming = .none) { self.framing = framing }

    /// Bytes that `write` may add to its data: a line of 16 digits, and two line ends.
    package static var overhead: Int { 20 }

    /// Appends data, as a chunk of its own where the framing is `chunked`. No data writes nothing: an empty chunk would be
    /// the end of the body.
    package func write(_ data: borrowing Span<UInt8>, to out: inout ByteQueue, _ pool: inout BufferPool) {
        if data.isEmpty { return }
        out.reserve(data.count + Self.overhead, &pool)
        writeStart(data.count, to: &out, &pool)
        out.append(data)
        writeStop(to: &out, &pool)
    }

    /// Appends what stands before a piece of `count` bytes, at least one; the caller sends them by another way.
    package func writeStart(_ count: Int, to out: inout ByteQueue, _ pool: inout BufferPool) {
        guard framing == .chunked else { return }
        precondition(count > 0)
        out.reserve(Self.overhead, &pool)
        var line = InlineArray<18, UInt8>(repeating: 0)
        line[16] = UInt8(ascii: "\r")
        line[17] = UInt8(ascii: "\n")
        var start = 16
        var size = count
        while size > 0 {
            start -= 1
            let digit = UInt8(truncatingIfNeeded: size & 15)
            line[start] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
            size >>= 4
        }
        out.append(line.span.extracting(start..<18))
    }

    /// Appends what stands behind that piece.
    package func writeStop(to out: inout ByteQueue, _ pool: inout BufferPool) {
        guard framing == .chunked else { return }
        out.reserve(Self.overhead, &pool)
        out.append("\r\n")
    }

    /// Appends what ends the body.
    package func writeEnd(to out: inout ByteQueue, _ pool: inout BufferPool) {
        guard framing == .chunked else { return }
        out.reserve(5, &pool)
        out.append("0\r\n\r\n")
    }
    /// The same with field lines, which no other framing has a place for.
    package func writeEnd(trailers: Span<UInt8>, to out: inout ByteQueue, _ pool: inout BufferPool) {
        guard framing == .chunked else { return }
        out.reserve(trailers.count + 5, &pool)
        out.append("0\r\n")
        out.append(trailers)
        out.append("\r\n")
    }
}
