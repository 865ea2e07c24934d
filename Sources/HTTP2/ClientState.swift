// What the callbacks of a client's session write to: what came of the answers, and what of the requests waits to be sent.
package import Bytes
import HTTP

/// What a session says of a request that it carries, which is named by its slot. Ranges are of the session's `bytes`.
package enum AnswerEvent: Equatable, Sendable {
    /// A head, an interim one too, to be read with `readHead`.
    case head(SlotID, Range<Int>, isWhole: Bool)
    case body(SlotID, Range<Int>)
    /// Field lines behind the body, as text.
    case trailers(SlotID, Range<Int>)
    case end(SlotID)
    /// There will be no answer, or no more of it. `isSafe`: the server did nothing (RFC 9113 section 8.7).
    case failed(SlotID, isSafe: Bool)
}

/// One request and its answer.
struct ClientStream: ~Copyable {
    /// Whose it is.
    let owner: SlotID
    var number: Int32 = 0
    let isHEAD: Bool
    /// The connection had served others before.
    let isOnUsed: Bool
    /// Of the request's body, what waits to be sent.
    var body = ByteQueue()
    var bodyHasEnded: Bool
    /// Field lines to send behind it.
    var bodyTrailers: [UInt8] = []
    /// Its fields went out, or are on their way.
    var isSent = false
    /// The final head of its answer came; how many interim ones did.
    var hasHead = false
    var interim: UInt8 = 0
    /// All of its answer came.
    var isAnswered = false
    /// The stream is closed, in order or not.
    var isClosed = false
    /// Of the answer's body, what nobody could take yet, and what came behind it.
    var kept = ByteQueue()
    var trailers: [UInt8] = []
    var hasEnded = false

    init(owner: SlotID, isHEAD: Bool, isOnUsed: Bool, hasBody: Bool) {
        self.owner = owner
        self.isHEAD = isHEAD
        self.isOnUsed = isOnUsed
        bodyHasEnded = !hasBody
    }
}

struct ClientState: ~Copyable {
    var events: [AnswerEvent] = []
    var taken = 0
    var bytes = ByteBuffer(capacity: 0)
    var streams: SlotTable<ClientStream>
    var count = 0
    /// Requests whose bodies are still to come.
    var uploads = 0
    /// Bytes of bodies for which the server may send as many more on the connection.
    var unconsumed = 0
    /// The block of fields that arrives; there is one at a time (RFC 9113 section 4.3).
    private var fields = ByteBuffer(capacity: 256)
    private var fieldCount = 0
    private var isTooLarge = false
    private var isInterim = false
    private var isTrailer = false
    /// The server takes no further request.
    var isEnding = false

    init(streams: Int) { self.streams = SlotTable(capacity: streams) }

    mutating func forgetTaken() {
        guard taken == events.count else { return }
        events.removeAll(keepingCapacity: true)
        taken = 0
        if bytes.count > 1 << 17 { bytes = ByteBuffer(capacity: 0) }
        bytes.clear()
    }

    // MARK: fields

    mutating func beginFields(isTrailer: Bool) {
        fields.clear()
        fieldCount = 0
        isTooLarge = false
        isInterim = false
        self.isTrailer = isTrailer
    }
    /// The head is written as HTTP/1 has it, so that one parser judges all.
    mutating func add(_ name: borrowing Span<UInt8>, _ value: borrowing Span<UInt8>) {
        fieldCount += 1
        if fieldCount > HTTPLimits.response.fieldCount { isTooLarge = true }
        if fields.count + name.count + value.count > HTTPLimits.response.headSize { isTooLarge = true }
        if isTooLarge { return }
        if name.count > 0 && name[0] == UInt8(ascii: ":") {
            guard !isTrailer else { return }
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

    mutating func endFields(_ stream: SlotID, endsStream: Bool) {
        if isTooLarge { return events.append(.failed(stream, isSafe: false)) }
        endLine()
        let start = bytes.count
        if !isTrailer { fields.append("\r\n") }
        Self.append(fields, to: &bytes)
        if isTrailer {
            events.append(.trailers(stream, start..<bytes.count))
        } else {
            events.append(.head(stream, start..<bytes.count, isWhole: endsStream))
            streams[stream].hasHead = !isInterim
        }
        if fields.count > 1 << 13 { fields = ByteBuffer(capacity: 256) }
    }
    /// Two stored buffers at once: a span of one is a borrow of the whole value, a parameter is not.
    private static func append(_ from: borrowing ByteBuffer, to out: inout ByteBuffer) { out.append(from.bytes) }
    mutating func endAnswer(_ stream: SlotID) {
        streams[stream].isAnswered = true
        events.append(.end(stream))
    }
    mutating func received(_ data: borrowing Span<UInt8>, on stream: SlotID) {
        let start = bytes.count
        bytes.append(data)
        events.append(.body(stream, start..<bytes.count))
    }
}
