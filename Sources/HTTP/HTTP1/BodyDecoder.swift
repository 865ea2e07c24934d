// Where a body's data lies in the bytes that arrive, for every framing. Chunk lines and trailers are taken out.
import Bytes

/// What lies at the front of the bytes of a body.
package enum BodyPart: Equatable {
    /// This many bytes of data: use them and consume them.
    case data(Int)
    /// This many bytes of framing: consume them and ask again.
    case skip(Int)
    /// This many bytes of the lines behind the last chunk, up to the empty one that ends them: consume them and ask again.
    case trailer(Int)
    /// The body is over; what follows belongs to the next message.
    case end
    case incomplete
    case malformed(MessageError)
}

/// Finds the data of one body. It counts what it names, so each part must be consumed before the next is asked for.
package struct BodyDecoder: BitwiseCopyable {
    private let framing: BodyFraming
    private var left: UInt64 = 0
    private var chunks = ChunkedDecoder()

    package init() { framing = .none }
    /// - Parameter length: bytes of the body; looked at only when the framing is `length`.
    package init(_ framing: BodyFraming, length: Int64) {
        self.framing = framing
        left = framing == .length ? UInt64(max(length, 0)) : 0
    }

    /// The end of the connection is the end of the body, and not a body cut short.
    package var isUntilClose: Bool { framing == .untilClose }
    /// Nothing is missing: `next` would say `end`.
    package var isFinished: Bool {
        switch framing {
        case .none: true
        case .length: left == 0
        case .chunked: chunks.isFinished
        case .untilClose: false
        }
    }

    /// What lies at the front of `s`, which continues where the last part ended.
    package mutating func next(_ s: Span<UInt8>) -> BodyPart {
        switch framing {
        case .none: return .end
        case .length:
            if left == 0 { return .end }
            if s.isEmpty { return .incomplete }
            let count = min(UInt64(s.count), left)
            left -= count
            return .data(Int(count))
        case .untilClose: return s.isEmpty ? .incomplete : .data(s.count)
        case .chunked: return chunks.next(s)
        }
    }
}
