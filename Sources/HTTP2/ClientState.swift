// What the callbacks of a client's session write to: what came of the answer, and what of the request waits to be sent.
import Bytes
import HTTP

/// What a session says of the request that it carries. Ranges are of the session's `bytes`.
package enum AnswerEvent: Equatable, Sendable {
    /// A head, an interim one too, to be read with `readHead`.
    case head(Range<Int>, isWhole: Bool)
    case body(Range<Int>)
    /// Field lines behind the body, as text.
    case trailers(Range<Int>)
    case end
    /// There will be no answer, or no more of it. `isSafe`: the server did nothing (RFC 9113 section 8.7).
    case failed(isSafe: Bool)
}

struct ClientState: ~Copyable {
    var events: [AnswerEvent] = []
    var taken = 0
    var bytes = ByteBuffer(capacity: 0)
    /// Of the request that runs; 0: none does.
    var stream: Int32 = 0
    /// The block of fields that arrives, and whether the head of the answer came before it.
    private var fields = ByteBuffer(capacity: 256)
    private var fieldCount = 0
    private var isTooLarge = false
    private var isInterim = false
    private var hasHead = false
    var body = ByteQueue()
    var bodyHasEnded = false
    /// Field lines to send behind the body.
    var trailers: [UInt8] = []
    /// The server takes no further request.
    var isEnding = false

    mutating func beginRequest(hasBody: Bool) {
        events.removeAll(keepingCapacity: true)
        taken = 0
        hasHead = false
        bodyHasEnded = !hasBody
        trailers = []
    }
    mutating func forgetTaken() {
        guard taken == events.count else { return }
        events.removeAll(keepingCapacity: true)
        taken = 0
        if bytes.count > 1 << 16 { bytes = ByteBuffer(capacity: 0) }
        bytes.clear()
    }

    // MARK: fields

    mutating func beginFields() {
        fields.clear()
        fieldCount = 0
        isTooLarge = false
    }
    /// The head is written as HTTP/1 has it, so that one parser judges all.
    mutating func add(_ name: borrowing Span<UInt8>, _ value: borrowing Span<UInt8>) {
        fieldCount += 1
        if fieldCount > HTTPLimits.response.fieldCount { isTooLarge = true }
        if fields.count + name.count + value.count > HTTPLimits.response.headSize { isTooLarge = true }
        if isTooLarge { return }
        if name.count > 0 && name[0] == UInt8(ascii: ":") {
            guard !hasHead else { return }
            isInterim = value.count > 0 && value[0] == UInt8(ascii: "1")
            fields.append("HTTP/1.1 ")
            fields.append(value)
            fields.append(" ")
        } else {
            endLine()
            fields.append(name)
            fields.append(": ")
            fields.append(value)
        }
    }
    private mutating func endLine() { if !fields.isEmpty { fields.append("\r\n") } }

    mutating func endFields(endsStream: Bool) {
        if isTooLarge { return events.append(.failed(isSafe: false)) }
        endLine()
        let start = bytes.count
        if !hasHead { fields.append("\r\n") }
        Self.append(fields, to: &bytes)
        if hasHead {
            events.append(.trailers(start..<bytes.count))
        } else {
            events.append(.head(start..<bytes.count, isWhole: endsStream))
            hasHead = !isInterim
        }
        if fields.count > 1 << 13 { fields = ByteBuffer(capacity: 256) }
    }
    /// Two stored buffers at once: a span of one is a borrow of the whole value, a parameter is not.
    private static func append(_ from: borrowing ByteBuffer, to out: inout ByteBuffer) { out.append(from.bytes) }
    mutating func received(_ data: borrowing Span<UInt8>) {
        let start = bytes.count
        bytes.append(data)
        events.append(.body(start..<bytes.count))
    }
}
