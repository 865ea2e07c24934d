// One HTTP/2 connection as its client sees it, with many requests at once: bytes in, events out. It knows no socket.
// nghttp2 calls back only from within the calls made here.
package import Bytes
import CNGHTTP2
package import HTTP

@safe package struct HTTP2ClientSession: ~Copyable {
    /// Bytes of an answer that may wait here for whoever asked; and of all answers, before they are looked at.
    static let streamWindow: Int32 = 256 * 1024
    static let connectionWindow: Int32 = 4 << 20

    private let owned: OwnedSession<ClientState>
    private var session: OpaquePointer { unsafe owned.session }
    private var state: UnsafeMutablePointer<ClientState> { unsafe owned.state }
    private let limit: Int

    /// Nil when there is no memory. The first bytes to send, the preface and our SETTINGS, wait already.
    package init?(streams limit: Int) {
        guard let owned = ClientCallbacks.makeSession(streams: limit) else { return nil }
        self.owned = owned
        self.limit = limit
    }

    private var bytes: Span<UInt8> {
        @_lifetime(borrow self) borrowing get {
            unsafe _overrideLifetime(state.pointee.bytes.bytes, borrowing: self)
        }
    }
    /// Requests that are on their way.
    package borrowing func streamCount() -> Int { unsafe state.pointee.count }
    /// Requests whose bodies are not whole yet.
    package borrowing func uploadCount() -> Int { unsafe state.pointee.uploads }
    /// How many the server takes at once, as far as is known, and ours.
    package borrowing func capacity() -> Int {
        let theirs = unsafe nghttp2_session_get_remote_settings(session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
        return min(limit, Int(theirs))
    }
    /// The server takes further requests.
    package borrowing func isOpen() -> Bool {
        unsafe !state.pointee.isEnding && nghttp2_session_check_request_allowed(session) != 0
    }

    // MARK: requests

    /// Begins a request. Nil: the server takes none now.
    package mutating func begin(
        _ fields: borrowing FieldList, owner: SlotID, hasBody: Bool, isHEAD: Bool, isOnUsed: Bool
    ) -> SlotID? {
        let stream = ClientStream(owner: owner, isHEAD: isHEAD, isOnUsed: isOnUsed, hasBody: hasBody)
        guard let id = unsafe state.pointee.streams.insert(stream) else { return nil }
        guard let number = unsafe ClientCallbacks.submit(session, id, fields, hasBody: hasBody) else {
            unsafe state.pointee.streams.destroy(id)
            return nil
        }
        unsafe state.pointee.streams[id].number = number
        unsafe state.pointee.count += 1
        if hasBody { unsafe state.pointee.uploads += 1 }
        return id
    }
    package borrowing func contains(_ id: SlotID) -> Bool { unsafe state.pointee.streams.contains(id) }
    /// Bytes of the request's body that wait.
    package borrowing func waiting(_ id: SlotID) -> Int { unsafe state.pointee.streams[id].body.count }
    package mutating func send(_ part: Span<UInt8>, on id: SlotID, pool: inout BufferPool) {
        unsafe state.pointee.streams[id].body.reserve(part.count, &pool)
        unsafe state.pointee.streams[id].body.append(part)
        _ = unsafe nghttp2_session_resume_data(session, state.pointee.streams[id].number)
    }
    /// The request is whole, but for field lines behind its body.
    package mutating func finish(_ id: SlotID, trailers: [UInt8] = []) {
        if unsafe state.pointee.streams[id].bodyHasEnded { return }
        unsafe state.pointee.streams[id].bodyTrailers = trailers
        unsafe state.pointee.streams[id].bodyHasEnded = true
        unsafe state.pointee.uploads -= 1
        _ = unsafe nghttp2_session_resume_data(session, state.pointee.streams[id].number)
    }
    /// Nobody wants the rest: what is left of both messages is thrown away, and the server told if it is not done.
    package mutating func release(_ id: SlotID, pool: inout BufferPool) {
        let number = unsafe state.pointee.streams[id].number
        if unsafe !state.pointee.streams[id].isClosed {
            _ = unsafe nghttp2_session_set_stream_user_data(session, number, nil)
            let flags = UInt8(NGHTTP2_FLAG_NONE.rawValue)
            // A whole answer needs no more of the request; RFC 9113 section 8.1 has the codes for both.
            let code = unsafe state.pointee.streams[id].hasEnded ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL
            _ = unsafe nghttp2_submit_rst_stream(session, flags, number, code.rawValue)
        }
        if unsafe !state.pointee.streams[id].bodyHasEnded { unsafe state.pointee.uploads -= 1 }
        unsafe state.pointee.streams[id].body.release(to: &pool)
        unsafe state.pointee.streams[id].kept.release(to: &pool)
        unsafe state.pointee.streams.destroy(id)
        unsafe state.pointee.count -= 1
    }
    /// Whose request it is; and the requests that there are, by their place among `capacity`.
    package borrowing func owner(_ id: SlotID) -> SlotID { unsafe state.pointee.streams[id].owner }
    package borrowing func occupant(_ index: Int) -> SlotID? { unsafe state.pointee.streams.occupant(Int32(index)) }
    package borrowing func places() -> Int { limit }
    /// Not one byte of it left; the connection had served others before, and nothing of an answer came.
    package borrowing func isUnsent(_ id: SlotID) -> Bool { unsafe !state.pointee.streams[id].isSent }
    package borrowing func isStale(_ id: SlotID) -> Bool {
        unsafe state.pointee.streams[id].isOnUsed && !state.pointee.streams[id].hasHead
            && state.pointee.streams[id].interim == 0
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
        return unsafe nghttp2_session_want_read(session) != 0
    }

    // MARK: answers

    /// Takes bytes of the connection. False: they are not HTTP/2, or the last that the server has to say.
    package mutating func receive(_ input: Span<UInt8>) -> Bool {
        unsafe state.pointee.forgetTaken()
        let session = unsafe session
        let code = unsafe input.withUnsafeBufferPointer {
            unsafe nghttp2_session_mem_recv(session, $0.baseAddress, $0.count)
        }
        // The connection's window is nobody's in particular: a client that takes nothing holds up its own stream alone.
        let count = unsafe state.pointee.unconsumed
        if count > 0 { _ = unsafe nghttp2_session_consume_connection(session, count) }
        unsafe state.pointee.unconsumed = 0
        return unsafe code >= 0 && nghttp2_session_want_read(session) != 0
    }
    package mutating func next() -> AnswerEvent? {
        while unsafe state.pointee.taken < state.pointee.events.count {
            let event = unsafe state.pointee.events[state.pointee.taken]
            unsafe state.pointee.taken += 1
            // Of requests that nobody waits for any more nothing is said.
            if unsafe state.pointee.streams.contains(event.stream) { return event }
        }
        return nil
    }
    /// The bytes that an event told of; they hold until the next `receive`.
    package borrowing func append(_ range: Range<Int>, to out: inout ByteBuffer) { out.append(bytes.extracting(range)) }
    /// So much of an answer's body went on: the server may send as many more.
    package mutating func consume(_ count: Int, of id: SlotID) {
        if unsafe state.pointee.streams[id].isClosed { return }
        _ = unsafe nghttp2_session_consume_stream(session, state.pointee.streams[id].number, count)
    }
    /// Keeps a part of the body until it can go on; what comes behind it is kept too.
    package mutating func keep(_ range: Range<Int>, of id: SlotID, pool: inout BufferPool) {
        unsafe state.pointee.keep(range, of: id, &pool)
    }
    package borrowing func keepsBytes(_ id: SlotID) -> Bool { unsafe !state.pointee.streams[id].kept.isEmpty }
    /// Moves what was kept.
    package mutating func takeKept(_ id: SlotID, to out: inout ByteBuffer, pool: inout BufferPool) {
        unsafe state.pointee.streams[id].takeKept(to: &out, &pool)
    }
    package mutating func keepTrailers(_ range: Range<Int>, of id: SlotID) {
        let part = bytes.extracting(range)
        var lines: [UInt8] = []
        for i in part.indices { lines.append(part[i]) }
        unsafe state.pointee.streams[id].trailers = lines
    }
    package borrowing func trailers(_ id: SlotID) -> [UInt8] { unsafe state.pointee.streams[id].trailers }
    /// Nothing more comes; what is kept is the last.
    package mutating func end(_ id: SlotID) { unsafe state.pointee.streams[id].hasEnded = true }
    package borrowing func hasEnded(_ id: SlotID) -> Bool { unsafe state.pointee.streams[id].hasEnded }
    /// Counts one more interim head.
    package mutating func countInterim(_ id: SlotID) -> Int {
        unsafe state.pointee.streams[id].interim &+= 1
        return unsafe Int(state.pointee.streams[id].interim)
    }
    package borrowing func readHead(
        _ range: Range<Int>, of id: SlotID, isWhole: Bool, into head: inout ResponseHead
    ) -> MessageError? {
        head.parse(section: bytes.extracting(range), isWhole: isWhole, isHEAD: unsafe state.pointee.streams[id].isHEAD)
    }
}

extension AnswerEvent {
    var stream: SlotID {
        switch self {
        case .head(let id, _, _), .body(let id, _), .trailers(let id, _), .end(let id), .failed(let id, _): id
        }
    }
}

extension ClientStream {
    fileprivate mutating func takeKept(to out: inout ByteBuffer, _ pool: inout BufferPool) {
        out.append(kept.bytes)
        kept.release(to: &pool)
    }
}

extension ClientState {
    fileprivate mutating func keep(_ range: Range<Int>, of id: SlotID, _ pool: inout BufferPool) {
        streams[id].kept.reserve(range.count, &pool)
        Self.append(bytes, range, to: &streams[id].kept)
    }
    private static func append(_ from: borrowing ByteBuffer, _ range: Range<Int>, to out: inout ByteQueue) {
        out.append(from.bytes.extracting(range))
    }
}
