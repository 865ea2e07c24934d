// One HTTP/2 connection as its client sees it, with one request at a time: bytes in, events out. It knows no socket.
// Owns the nghttp2 session and the state its callbacks write to, and frees both in deinit; the state's address is stable,
// and nghttp2 calls back only from within the calls made here.
package import Bytes
import CNGHTTP2
package import HTTP

@safe package struct HTTP2ClientSession: ~Copyable {
    private let session: OpaquePointer
    private let state: UnsafeMutablePointer<ClientState>

    /// Nil when there is no memory. The first bytes to send, the preface and our SETTINGS, wait already.
    package init?() {
        let state = UnsafeMutablePointer<ClientState>.allocate(capacity: 1)
        unsafe state.initialize(to: ClientState())
        guard let session = unsafe ClientCallbacks.makeSession(state) else {
            unsafe state.deinitialize(count: 1)
            unsafe state.deallocate()
            return nil
        }
        unsafe self.session = unsafe session
        unsafe self.state = unsafe state
    }
    deinit {
        unsafe nghttp2_session_del(session)
        unsafe state.deinitialize(count: 1)
        unsafe state.deallocate()
    }

    private var bytes: Span<UInt8> {
        @_lifetime(borrow self) borrowing get {
            unsafe _overrideLifetime(state.pointee.bytes.bytes, borrowing: self)
        }
    }
    /// Bytes of the request's body that wait.
    package borrowing func waiting() -> Int { unsafe state.pointee.body.count }
    /// The last request is over on both sides, and another one may follow.
    package borrowing func isReusable() -> Bool {
        unsafe state.pointee.stream == 0 && state.pointee.body.isEmpty && !state.pointee.isEnding
            && nghttp2_session_check_request_allowed(session) != 0
    }

    // MARK: the request

    /// Begins a request. False: the server takes none.
    package mutating func submit(_ fields: borrowing FieldList, hasBody: Bool) -> Bool {
        unsafe state.pointee.beginRequest(hasBody: hasBody)
        guard let stream = unsafe ClientCallbacks.submit(session, state, fields, hasBody: hasBody) else { return false }
        unsafe state.pointee.stream = stream
        return true
    }
    package mutating func send(_ part: Span<UInt8>, pool: inout BufferPool) {
        unsafe state.pointee.body.reserve(part.count, &pool)
        unsafe state.pointee.body.append(part)
        resume()
    }
    /// Ends the request, with field lines behind its body.
    package mutating func finish(trailers: [UInt8] = []) {
        unsafe state.pointee.bodyHasEnded = true
        unsafe state.pointee.trailers = trailers
        resume()
    }
    private func resume() {
        let stream = unsafe state.pointee.stream
        if stream > 0 { _ = unsafe nghttp2_session_resume_data(session, stream) }
    }
    /// Appends what is to be sent, until about `size` bytes wait. False: the connection is of no use any more.
    package mutating func write(to out: inout ByteQueue, upTo size: Int, pool: inout BufferPool) -> Bool {
        while out.count < size {
            var data: UnsafePointer<UInt8>?
            let count = unsafe nghttp2_session_mem_send(session, &data)
            if count < 0 { return false }
            guard count > 0 else { break }
            out.reserve(count, &pool)
            unsafe out.append(Span(_unsafeElements: UnsafeBufferPointer(start: data, count: count)))
        }
        if unsafe state.pointee.body.isEmpty { unsafe state.pointee.body.release(to: &pool) }
        return unsafe nghttp2_session_want_read(session) != 0
    }

    // MARK: the answer

    /// Takes bytes of the connection. False: they are not HTTP/2.
    package mutating func receive(_ input: Span<UInt8>) -> Bool {
        unsafe state.pointee.forgetTaken()
        let session = unsafe session
        let code = unsafe input.withUnsafeBufferPointer {
            unsafe nghttp2_session_mem_recv(session, $0.baseAddress, $0.count)
        }
        let isOpen = unsafe nghttp2_session_want_read(session) != 0
        return code >= 0 && isOpen || hasEvents
    }
    private var hasEvents: Bool { unsafe state.pointee.taken < state.pointee.events.count }

    package mutating func next() -> AnswerEvent? {
        guard hasEvents else { return nil }
        let event = unsafe state.pointee.events[state.pointee.taken]
        unsafe state.pointee.taken += 1
        return event
    }
    /// The bytes that an event told of; they hold until the next `receive`.
    package borrowing func append(_ range: Range<Int>, to out: inout ByteBuffer) { out.append(bytes.extracting(range)) }
    package borrowing func lines(_ range: Range<Int>) -> [UInt8] {
        let part = bytes.extracting(range)
        var lines: [UInt8] = []
        for i in part.indices { lines.append(part[i]) }
        return lines
    }
    package borrowing func readHead(
        _ range: Range<Int>, isWhole: Bool, isHEAD: Bool, into head: inout ResponseHead
    ) -> MessageError? {
        head.parse(section: bytes.extracting(range), isWhole: isWhole, isHEAD: isHEAD)
    }
}
