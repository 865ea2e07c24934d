// One HTTP/2 connection as the server sees it: bytes in, events out. It knows no socket.
// nghttp2 calls back only from within the calls made here.
package import Bytes
import CNGHTTP2
package import HTTP

@safe package struct HTTP2Session: ~Copyable {
    /// Bytes that are taken before the cost of what they caused is looked at.
    private static var slice: Int { 16 * 1024 }

    private let owned: OwnedSession<SessionState>
    private var session: OpaquePointer { unsafe owned.session }
    private var state: UnsafeMutablePointer<SessionState> { unsafe owned.state }

    /// Nil when there is no memory. The first bytes to send, our SETTINGS, wait already.
    package init?(limits: HTTP2Limits = HTTP2Limits(), now: Instant) {
        guard let owned = SessionCallbacks.makeSession(limits, now: now) else { return nil }
        self.owned = owned
    }

    /// What the ranges of events are of.
    package var bytes: Span<UInt8> {
        @_lifetime(borrow self) borrowing get {
            unsafe _overrideLifetime(state.pointee.bytes.bytes, borrowing: self)
        }
    }
    /// Something is to be sent, or to come.
    package var isOpen: Bool {
        unsafe nghttp2_session_want_read(session) != 0 || nghttp2_session_want_write(session) != 0
    }
    /// Bytes of all answers' bodies that wait.
    package var waiting: Int { unsafe state.pointee.waiting }
    /// Neither we nor the client have ended it.
    package borrowing func isLive(_ stream: Int32) -> Bool { unsafe SessionCallbacks.isLive(session, stream) }

    // MARK: in

    /// Takes bytes of the connection. After a failure, what `write` gives is the last to be sent.
    package mutating func receive(_ input: Span<UInt8>, now: Instant) -> SessionFailure? {
        unsafe state.pointee.forgetTaken()
        unsafe state.pointee.now = now
        var start = 0
        while start < input.count {
            let end = min(start + Self.slice, input.count)
            if let failure = take(input.extracting(start..<end)) {
                unsafe state.pointee.fail(failure)
                endFailed()
                return failure
            }
            start = end
        }
        resetRefused()
        return nil
    }

    private func take(_ slice: Span<UInt8>) -> SessionFailure? {
        var start = 0
        while start < slice.count {
            let rest = slice.extracting(start..<slice.count)
            let (count, isExpanded) = unsafe state.pointee.expansion.next(rest)
            let failure =
                isExpanded ? unsafe feed(state.pointee.expansion.bytes) : feed(rest.extracting(0..<count))
            if let failure { return failure }
            start += count
        }
        return nil
    }
    private func feed(_ part: Span<UInt8>) -> SessionFailure? {
        let session = unsafe session
        let code = unsafe part.withUnsafeBufferPointer {
            unsafe nghttp2_session_mem_recv(session, $0.baseAddress, $0.count)
        }
        if let failure = unsafe state.pointee.failure { return failure }
        if code == Int(NGHTTP2_ERR_FLOODED.rawValue) || code == Int(NGHTTP2_ERR_TOO_MANY_CONTINUATIONS.rawValue) {
            return .flooded
        }
        if code < 0 { return .protocolError }
        let waiting = unsafe nghttp2_session_get_outbound_queue_size(session)
        return unsafe waiting > state.pointee.limits.waitingFrames ? .flooded : nil
    }

    private func endFailed() {
        let isFlood = unsafe state.pointee.failure == .flooded
        let code = isFlood ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_PROTOCOL_ERROR
        _ = unsafe nghttp2_session_terminate_session(session, code.rawValue)
    }

    /// A request that others could read in another way is not answered, but reset.
    private func resetRefused() {
        let count = unsafe state.pointee.events.count
        for k in unsafe state.pointee.taken..<count {
            guard case .refused(let stream, let refusal) = unsafe state.pointee.events[k] else { continue }
            if refusal.resets { reset(stream, code: NGHTTP2_PROTOCOL_ERROR.rawValue) }
        }
    }

    /// The next event, if there is one.
    package mutating func next() -> StreamEvent? {
        guard unsafe state.pointee.taken < state.pointee.events.count else { return nil }
        let event = unsafe state.pointee.events[state.pointee.taken]
        unsafe state.pointee.taken += 1
        if unsafe state.pointee.lengths.agree(with: event) { return event }
        return refuse(event)
    }
    /// RFC 9113 section 8.1.1: a body of another length than was announced.
    private mutating func refuse(_ event: StreamEvent) -> StreamEvent {
        var stream: Int32 = 0
        switch event {
        case .body(let number, let range):
            stream = number
            consume(range.count, stream: stream)
        case .end(let number): stream = number
        case .head, .refused, .trailers, .drained, .answered, .closed: break
        }
        reset(stream, code: NGHTTP2_PROTOCOL_ERROR.rawValue)
        return .refused(stream: stream, .invalid)
    }

    /// Parses the head of an event. When it is refused with a status of 400, its stream is reset.
    package mutating func readHead(
        stream: Int32, _ range: Range<Int>, endsStream: Bool, into head: inout RequestHead
    ) -> MessageError? {
        let limits = unsafe state.pointee.limits.head
        let error = head.parse(section: bytes.extracting(range), endsStream: endsStream, limits: limits)
        if let error, error.status == 400 { reset(stream, code: NGHTTP2_PROTOCOL_ERROR.rawValue) }
        // What follows an extended CONNECT is no body.
        if error == nil && !endsStream && head.framing == .length && !head.hasUpgrade {
            unsafe state.pointee.lengths.announce(head.contentLength, stream)
        }
        return error
    }

    /// So many bytes of a body went on: the client may send as many more.
    package mutating func consume(_ count: Int, stream: Int32) {
        _ = unsafe nghttp2_session_consume(session, stream, count)
    }

    // MARK: out

    /// Queues the head of an answer. False: the stream is gone, or it has an answer.
    package mutating func respond(_ fields: borrowing FieldList, stream: Int32, endsStream: Bool) -> Bool {
        guard isLive(stream), unsafe nghttp2_session_get_stream_user_data(session, stream) == nil else { return false }
        return unsafe SessionCallbacks.submit(session, state, stream, fields, endsStream: endsStream)
    }
    /// Queues an interim answer (RFC 9113 section 8.1): another one follows.
    package mutating func inform(_ fields: borrowing FieldList, stream: Int32) {
        if isLive(stream) { unsafe SessionCallbacks.submitInterim(session, stream, fields) }
    }

    /// Bytes of an answer's body that wait on a stream.
    package borrowing func waiting(stream: Int32) -> Int {
        guard let id = unsafe SessionCallbacks.body(session, state, stream) else { return 0 }
        return unsafe state.pointee.bodies[id].queue.count
    }

    /// Queues a part of the body. False: the stream is gone.
    package mutating func send(_ part: Span<UInt8>, stream: Int32, pool: inout BufferPool) -> Bool {
        guard let id = unsafe SessionCallbacks.body(session, state, stream),
            unsafe !state.pointee.bodies[id].isEnded
        else { return false }
        if unsafe state.pointee.bodies[id].queue.isEmpty {
            unsafe state.pointee.bodies[id].progress = unsafe state.pointee.now
        }
        unsafe state.pointee.bodies[id].queue.reserve(part.count, &pool)
        unsafe state.pointee.bodies[id].queue.append(part)
        unsafe state.pointee.waiting += part.count
        _ = unsafe nghttp2_session_resume_data(session, stream)
        return true
    }

    /// The body is whole; field lines may follow it. False: the stream is gone.
    package mutating func finish(stream: Int32, trailers: [UInt8] = []) -> Bool {
        guard let id = unsafe SessionCallbacks.body(session, state, stream),
            unsafe !state.pointee.bodies[id].isEnded
        else { return false }
        unsafe state.pointee.bodies[id].isEnded = true
        unsafe state.pointee.bodies[id].trailers = trailers
        _ = unsafe nghttp2_session_resume_data(session, stream)
        return true
    }

    /// Ends one stream (RFC 9113 section 7 has the codes).
    package func reset(_ stream: Int32, code: UInt32) {
        guard isLive(stream) else { return }
        _ = unsafe nghttp2_submit_rst_stream(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream, code)
    }

    /// Resets the streams of which the client has taken nothing for so long although something waits.
    package mutating func resetStalled(after nanoseconds: UInt64, now: Instant) {
        for i in unsafe 0..<state.pointee.bodies.capacity {
            guard let id = unsafe state.pointee.bodies.occupant(i) else { continue }
            let since = unsafe state.pointee.bodies[id].progress.nanoseconds &+ nanoseconds
            guard unsafe !state.pointee.bodies[id].queue.isEmpty && since <= now.nanoseconds else { continue }
            unsafe reset(state.pointee.bodies[id].stream, code: NGHTTP2_CANCEL.rawValue)
        }
    }

    /// Says that the connection will end: streams that are on their way are still taken (RFC 9113 section 6.8).
    package mutating func announceEnd() { _ = unsafe nghttp2_submit_shutdown_notice(session) }

    /// No stream beyond those that came is taken; `isOpen` is false when these are done.
    package mutating func drain() {
        let last = unsafe nghttp2_session_get_last_proc_stream_id(session)
        _ = unsafe nghttp2_submit_goaway(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), last, 0, nil, 0)
    }

    /// Appends what is to be sent, until about `size` bytes wait. After a failure all that is left is appended, and nothing
    /// follows it.
    package mutating func write(
        to out: inout ByteQueue, upTo size: Int, now: Instant, pool: inout BufferPool
    ) -> SessionFailure? {
        unsafe state.pointee.now = now
        pull(to: &out, upTo: size, &pool)
        guard let failure = unsafe state.pointee.failure else { return nil }
        endFailed()
        pull(to: &out, upTo: Int.max, &pool)
        return failure
    }
    private func pull(to out: inout ByteQueue, upTo size: Int, _ pool: inout BufferPool) {
        while out.count < size {
            var data: UnsafePointer<UInt8>?
            unsafe state.pointee.pool = consume pool
            let count = unsafe nghttp2_session_mem_send(session, &data)
            pool = unsafe state.pointee.pool.take()!
            if count < 0 { unsafe state.pointee.fail(.protocolError) }
            guard count > 0 else { break }
            out.reserve(count, &pool)
            unsafe out.append(Span(_unsafeElements: UnsafeBufferPointer(start: data, count: count)))
        }
    }
}
