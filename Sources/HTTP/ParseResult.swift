// What parsing the front of a stream can give.

/// The answer to "is there a whole head at the front of these bytes?"
package enum ParseResult: Equatable {
    /// A head; this many bytes are consumed, the rest is not looked at.
    case complete(Int)
    /// So far nothing is wrong, more bytes are needed.
    case incomplete
    /// The bytes can never become an acceptable head.
    case failed(MessageError)
}

/// How the end of a body is found (RFC 9112 section 6.3).
package enum BodyFraming: UInt8, BitwiseCopyable, Sendable { case none, length, chunked, untilClose }
