// Many requests of one client on one connection, each on a stream of its own: frames in, messages out. Knows no policy.
package import Bytes
package import HTTP
import HTTP2

/// What a session says happened. Streams are named by the slots that were attached to them.
package enum SessionMessage {
    /// A request's head lies in the head that was passed in.
    case head(number: Int32, isWhole: Bool)
    /// A request that is none: `stream` names it if it had begun, `error` says why where we found out. One that `isReset`
    /// hears no more, another is to be answered.
    case malformed(stream: SlotID, number: Int32, error: MessageError?, isReset: Bool)
    /// A part of a body, to be read with `part`.
    case body(SlotID, Range<Int>)
    /// Field lines behind a body, to be read with `part`.
    case trailers(SlotID, Range<Int>)
    case end(SlotID)
    /// So little of the answer waits that more can be queued.
    case drained(SlotID)
    /// The answer is out, and the client still sends.
    case answered(SlotID)
    /// The stream is gone: its slot is not named again.
    case closed(SlotID)
}

/// Why a stream is ended before its time (RFC 9113 section 7).
package enum StreamEnd: UInt32 {
    /// The answer is whole; nobody wants the rest of the request.
    case answered = 0
    case failed = 2
    /// Nothing of the request was looked at.
    case refused = 7
    case cancelled = 8
}

package struct ServerSession: ~Copyable {
    private struct Place {
        let number: Int32
        let stream: SlotID
    }
    private let inPlace = InPlace()
    private var frames: HTTP2Session
    /// The streams that have a slot: few at a time, the newest of which are asked for most.
    private var places: [Place] = []
    private var isCrowded = false
    /// The client was told that no more streams are taken.
    package private(set) var isEnding = false

    /// Nil when there is no memory.
    package init?(limits: HTTPLimits, streams: Int, now: Instant) {
        var all = HTTP2Limits()
        all.head = limits
        all.streamCount = UInt32(streams)
        guard let frames = HTTP2Session(limits: all, now: now) else { return nil }
        self.frames = frames
    }

    /// Something is to be sent, or to come.
    package var isOpen: Bool { frames.isOpen }
    package var isIdle: Bool { places.isEmpty }
    package var streamCount: Int { places.count }
    package func stream(at index: Int) -> SlotID { places[index].stream }

    /// Gives a stream the slot by which messages name it.
    package mutating func attach(_ stream: SlotID, to number: Int32) {
        places.append(Place(number: number, stream: stream))
    }
    private func owner(of number: Int32) -> SlotID {
        places.last { $0.number == number }?.stream ?? .none
    }

    // MARK: requests

    /// False: what the client sends is not worth reading on; `write` says so to it.
    package mutating func receive(_ input: borrowing ByteBuffer, now: Instant) -> Bool {
        frames.receive(input.bytes, now: now) == nil
    }

    package mutating func next(into head: inout RequestHead) -> SessionMessage? {
        while let event = frames.next() {
            if let message = message(of: event, &head) { return message }
        }
        return nil
    }
    private mutating func message(of event: StreamEvent, _ head: inout RequestHead) -> SessionMessage? {
        switch event {
        case .head(let number, let range, let isWhole):
            // Who has left already costs no upstream a request.
            guard frames.isLive(number) else { return nil }
            let error = frames.readHead(stream: number, range, endsStream: isWhole, into: &head)
            guard let error else { return .head(number: number, isWhole: isWhole) }
            let isReset = StreamRefusal.message(error).resets
            return .malformed(stream: .none, number: number, error: error, isReset: isReset)
        case .refused(let number, let refusal):
            var error: MessageError?
            if case .message(let reason) = refusal { error = reason }
            return .malformed(stream: owner(of: number), number: number, error: error, isReset: refusal.resets)
        case .body(let number, let range):
            let stream = owner(of: number)
            if stream != .none { return .body(stream, range) }
            frames.consume(range.count, stream: number)
            return nil
        case .trailers(let number, let range): return named(number) { .trailers($0, range) }
        case .end(let number): return named(number) { .end($0) }
        case .drained(let number): return named(number) { .drained($0) }
        case .answered(let number): return named(number) { .answered($0) }
        case .closed(let number, _):
            guard let place = places.lastIndex(where: { $0.number == number }) else { return nil }
            return .closed(places.remove(at: place).stream)
        }
    }
    private func named(_ number: Int32, _ message: (SlotID) -> SessionMessage) -> SessionMessage? {
        let stream = owner(of: number)
        return stream == .none ? nil : message(stream)
    }

    /// The bytes of a body that a message told of; they hold until the next `receive`.
    @_lifetime(borrow self)
    package borrowing func part(_ range: Range<Int>) -> Span<UInt8> { frames.bytes.extracting(range) }

    /// So many bytes of a body went on: the client may send as many more.
    package mutating func consume(_ count: Int, _ number: Int32) {
        if count > 0 { frames.consume(count, stream: number) }
    }

    // MARK: answers

    package mutating func respond(_ fields: borrowing StreamFields, _ number: Int32, isWhole: Bool) {
        _ = frames.respond(fields.list, stream: number, endsStream: isWhole)
    }
    package mutating func inform(_ fields: borrowing StreamFields, _ number: Int32) {
        frames.inform(fields.list, stream: number)
    }
    package mutating func send(_ part: Span<UInt8>, _ number: Int32, _ pool: inout BufferPool) {
        _ = frames.send(part, stream: number, pool: &pool)
    }
    /// Ends the answer, with field lines behind its body.
    package mutating func finish(_ number: Int32, trailers: [UInt8] = []) {
        _ = frames.finish(stream: number, trailers: trailers)
    }
    package mutating func reset(_ number: Int32, _ end: StreamEnd) { frames.reset(number, code: end.rawValue) }

    /// Something of the answer on this stream waits for the client, or may not even come as long as so much of others does.
    package func isSending(_ number: Int32) -> Bool { isCrowded || frames.waiting(stream: number) > 0 }
    /// As much waits as may: on this stream, or on all of them.
    package mutating func isBackedUp(_ number: Int32) -> Bool {
        if frames.waiting >= ConnectionLimits.sessionBackPressure {
            isCrowded = true
            return true
        }
        // Nearly always all of them together have too little, which needs no look for the stream.
        if frames.waiting < ConnectionLimits.backPressure { return false }
        return frames.waiting(stream: number) >= ConnectionLimits.backPressure
    }
    /// True once when there is room again after a stream was told that all of them had too much.
    package mutating func takeRelief() -> Bool {
        guard isCrowded, frames.waiting < ConnectionLimits.sessionBackPressure / 2 else { return false }
        isCrowded = false
        return true
    }
    /// Ends the streams of which the client has taken nothing for so long.
    package mutating func resetStalled(after nanoseconds: UInt64, now: Instant) -> Bool {
        guard frames.waiting > 0 else { return false }
        frames.resetStalled(after: nanoseconds, now: now)
        return true
    }

    // MARK: the end

    /// Says that the connection will end; streams that are on their way are still taken (RFC 9113 section 6.8).
    package mutating func announceEnd() { frames.announceEnd() }
    /// No more streams are taken.
    package mutating func drain() {
        if !isEnding { frames.drain() }
        isEnding = true
    }
    /// Appends what is to be sent, until about `size` bytes wait. False: it is the last that the client hears.
    package mutating func write(
        to out: inout ByteQueue, upTo size: Int, now: Instant, _ pool: inout BufferPool
    ) -> Bool {
        frames.write(to: &out, upTo: size, now: now, pool: &pool) == nil
    }
}

/// The head of a message on its way to a stream. One per worker: keeps its memory.
package struct StreamFields: ~Copyable {
    private(set) var list = FieldList()
    private var lines = ByteQueue()

    package init() {}

    /// An upstream's head. `added` is whole fields.
    package mutating func take(
        _ head: borrowing ResponseHead, as status: Int? = nil, dropping filter: borrowing FieldFilter,
        adding added: borrowing ByteBuffer, _ pool: inout BufferPool
    ) {
        lines.reserve(head.bytes.count + added.count, &pool)
        head.writeFields(dropping: filter, to: &lines)
        lines.append(added.bytes)
        list.begin(status: status ?? head.status)
        Self.add(lines, to: &list)
        lines.release(to: &pool)
    }
    /// Whole field lines.
    package mutating func take(status: Int, _ fields: Span<UInt8>) {
        list.begin(status: status)
        list.add(fields)
    }
    /// A request's head in the form that HTTP/1 has it, for an upstream.
    package mutating func take(request text: borrowing ByteQueue, isTLS: Bool) {
        list.take(request: text.bytes, scheme: isTLS ? "https" : "http")
    }
    private static func add(_ lines: borrowing ByteQueue, to list: inout FieldList) { list.add(lines.bytes) }
}
