// What a connection says happened. No payload: a head lies in the head that was passed in, data at the front of the input.
package import HTTP
package import Transport

package enum MessageEvent {
    case head
    /// This many bytes at the front of the input are data: use them, then consume them.
    case body(Int)
    case end
    /// Nothing more can be said before more bytes arrive.
    case starved
    /// There may be more, but the owner must act first.
    case paused
    case malformed(MessageError)
    /// More of an unwanted body came than is worth reading.
    case overrun
    /// The connection carries streams: its input belongs to a session.
    case streams
}

/// What reading a stream brought.
package enum Arrival {
    case bytes, nothing
    /// The peer ended its side in order.
    case closed
    case failed
}

/// What reading the name of a connection's client brought.
package enum SourceArrival {
    /// The connection is the client's from here on.
    case known
    case incomplete
    case malformed(ProxyHeaderError)
    /// The peer left before it had said it.
    case gone
}

package enum FlushResult { case emptied, blocked, broken }

package enum ConnectionLimits {
    /// Bytes queued on one side at which the other side is no longer read: a few socket buffers, so that neither starves.
    package static let backPressure = 128 * 1024
    /// Bytes still queued at which the other side is read again: so few that the next large piece need not be copied.
    package static let refill = 16 * 1024
    /// Bytes queued on all streams of a session at which none of their upstreams is read.
    package static let sessionBackPressure = 1 << 20
    /// Requests that one connection to an upstream carries at once: what servers commonly allow.
    package static let upstreamStreams = 100
    /// Bytes of a session's frames that are made before they are written: as many as one call takes.
    package static let frames = 64 * 1024
    /// Bytes of a body that are worth a call of their own, past the queue.
    package static let direct = 16 * 1024
    /// Bytes of a refused body that are read and thrown away, so that the client sees the answer instead of a reset.
    package static let discarded = 64 * 1024
    /// Interim responses (1xx) before a final one; more is a flood.
    package static let interimResponses = 8
}

extension [UInt8] {
    /// Keeps what came of the lines behind a body; most bodies have none, and then this stays empty.
    mutating func keep(trailer part: Span<UInt8>) {
        if isEmpty && (part[0] == UInt8(ascii: "\r") || part[0] == UInt8(ascii: "\n")) { return }
        for i in part.indices { append(part[i]) }
    }
}
