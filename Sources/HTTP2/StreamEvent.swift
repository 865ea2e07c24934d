// What a session says of its streams, in the order in which it happened.
package import HTTP

/// Why a request never became a head, or its stream was ended.
package enum StreamRefusal: Error, Equatable, Sendable {
    case message(MessageError)
    /// Fields, lengths and frames that RFC 9113 forbids, and HTTP/1 does not know.
    case invalid

    /// What was wrong with a block of fields.
    init(_ error: MessageError) {
        self = error == .requestLine || error == .fieldName ? .invalid : .message(error)
    }

    /// The machine code that answer, log and metric share.
    package var code: StaticString {
        switch self {
        case .message(let error): error.code
        case .invalid: "http2_message_invalid"
        }
    }
    /// Its stream is reset rather than answered: others could read the request in another way.
    package var resets: Bool {
        switch self {
        case .message(let error): error.status == 400
        case .invalid: true
        }
    }
}

/// One event. Ranges are of the session's `bytes`, and hold until `receive` is called again.
package enum StreamEvent: Equatable, Sendable {
    /// A head, to be read with `readHead`.
    case head(stream: Int32, Range<Int>, endsStream: Bool)
    /// A request that is not to be handled. One that `resets` is reset already; one that is too large or asks for something
    /// unknown can be answered.
    case refused(stream: Int32, StreamRefusal)
    /// Of the body. It counts against the flow-control window until `consume` is called.
    case body(stream: Int32, Range<Int>)
    /// Field lines, as text.
    case trailers(stream: Int32, Range<Int>)
    /// The client has sent all.
    case end(stream: Int32)
    /// The client took so much of an answer's body that more can be queued.
    case drained(stream: Int32)
    /// Our answer is whole and on its way, while the client has not sent all.
    case answered(stream: Int32)
    /// The stream is gone; the code is that of RFC 9113 section 7.
    case closed(stream: Int32, code: UInt32)
}

/// Why a whole connection ends.
package enum SessionFailure: Error, Equatable, Sendable {
    /// The bytes are not HTTP/2, or break its rules.
    case protocolError
    /// More frames of a kind that costs us and brings nothing than any client needs.
    case flooded
}
