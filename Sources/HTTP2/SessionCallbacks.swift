// The functions that nghttp2 calls: they append to the session's state, and do nothing else.
// Own nothing: every pointer is used within the call only; the state behind `user_data` belongs to the session.
import Bytes
import CNGHTTP2
import HTTP

enum SessionCallbacks {
    typealias State = UnsafeMutablePointer<SessionState>

    private static func state(_ pointer: UnsafeMutableRawPointer?) -> State {
        unsafe pointer!.assumingMemoryBound(to: SessionState.self)
    }
    private static func span(_ start: UnsafePointer<UInt8>?, _ count: Int) -> UnsafeBufferPointer<UInt8> {
        unsafe UnsafeBufferPointer(start: start, count: count)
    }

    // MARK: making a session

    static func makeSession(_ limits: HTTP2Limits, now: Instant) -> OwnedSession<SessionState>? {
        unsafe OwnedSession(
            .server, SessionState(limits: limits, now: now),
            settings: [
                (NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits.streamCount),
                (NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, UInt32(limits.streamWindow)),
                (NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, UInt32(limits.head.headSize)),
                (NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1),
            ], window: limits.connectionWindow
        ) { callbacks, option in
            unsafe register(callbacks)
            // Fields and lengths are judged here, byte by byte and once: see FieldSection and AnnouncedLengths.
            unsafe nghttp2_option_set_no_http_messaging(option, 1)
            unsafe nghttp2_option_set_max_outbound_ack(option, limits.waitingAcknowledgements)
            // Ours counts the resets that go out, too, and so ends the connection first, with the fitting code.
            unsafe nghttp2_option_set_stream_reset_rate_limit(option, 2 * limits.resetBurst, limits.resetsPerSecond)
            unsafe nghttp2_option_set_max_continuations(option, limits.continuations)
            unsafe nghttp2_option_set_max_send_header_block_length(option, limits.answerHeadSize)
        }
    }

    private static func register(_ callbacks: OpaquePointer?) {
        unsafe registerReceiving(callbacks)
        unsafe nghttp2_session_callbacks_set_on_frame_send_callback(callbacks) { session, frame, user in
            unsafe SessionCallbacks.sent(session!, frame!, SessionCallbacks.state(user))
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { session, stream, code, user in
            let state = unsafe SessionCallbacks.state(user)
            if let id = unsafe SessionCallbacks.body(session!, state, stream) { unsafe state.pointee.drop(id) }
            unsafe state.pointee.events.append(.closed(stream: stream, code: code))
            return 0
        }
    }
    private static func registerReceiving(_ callbacks: OpaquePointer?) {
        unsafe nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks) { _, header, user in
            let state = unsafe SessionCallbacks.state(user), header = unsafe header!.pointee
            if UInt32(header.type) == NGHTTP2_HEADERS.rawValue, unsafe !state.pointee.admits(header.stream_id) {
                unsafe state.pointee.fail(.protocolError)
            }
            return unsafe SessionCallbacks.verdict(state)
        }
        unsafe nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks) { _, frame, user in
            let category = unsafe frame!.pointee.headers.cat
            unsafe SessionCallbacks.state(user).pointee.section.begin(isTrailer: category != NGHTTP2_HCAT_REQUEST)
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_header_callback(callbacks) { _, _, name, n, value, v, _, user in
            let name = unsafe SessionCallbacks.span(name, n), value = unsafe SessionCallbacks.span(value, v)
            unsafe SessionCallbacks.state(user).pointee.section.add(name.span, value.span)
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) { _, _, stream, data, n, user in
            let part = unsafe SessionCallbacks.span(data, n)
            unsafe SessionCallbacks.state(user).pointee.body(part.span, stream: stream)
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, user in
            let state = unsafe SessionCallbacks.state(user)
            unsafe SessionCallbacks.received(frame!, state)
            return unsafe SessionCallbacks.verdict(state)
        }
        unsafe nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks) { _, frame, code, user in
            let stream = unsafe frame!.pointee.hd.stream_id
            // More streams at once than were offered: no stream was begun that could be refused.
            if stream != 0 && code != NGHTTP2_ERR_REFUSED_STREAM.rawValue {
                unsafe SessionCallbacks.state(user).pointee.events.append(.refused(stream: stream, .invalid))
            }
            return 0
        }
    }
    /// Stops nghttp2 at once when the connection has to end: what else came is not worth its time.
    private static func verdict(_ state: State) -> Int32 {
        unsafe state.pointee.failure == nil ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE.rawValue
    }

    // MARK: frames

    private static func received(_ frame: UnsafePointer<nghttp2_frame>, _ state: State) {
        let header = unsafe frame.pointee.hd
        let ends = UInt32(header.flags) & NGHTTP2_FLAG_END_STREAM.rawValue != 0
        switch UInt32(header.type) {
        case NGHTTP2_HEADERS.rawValue:
            let isTrailer = unsafe frame.pointee.headers.cat != NGHTTP2_HCAT_REQUEST
            // RFC 9113 section 8.1: nothing follows trailers.
            if isTrailer && !ends { unsafe state.pointee.section.refuse(.requestLine) }
            unsafe state.pointee.endSection(stream: header.stream_id, isTrailer: isTrailer, endsStream: ends)
            if ends { unsafe state.pointee.events.append(.end(stream: header.stream_id)) }
        case NGHTTP2_DATA.rawValue:
            let isEmpty = unsafe header.length == frame.pointee.data.padlen
            if ends {
                unsafe state.pointee.events.append(.end(stream: header.stream_id))
            } else if isEmpty, unsafe !state.pointee.empties.spend(at: state.pointee.now) {
                unsafe state.pointee.fail(.flooded)
            }
        case NGHTTP2_PRIORITY.rawValue:
            if unsafe !state.pointee.empties.spend(at: state.pointee.now) { unsafe state.pointee.fail(.flooded) }
        case NGHTTP2_SETTINGS.rawValue:
            if unsafe !state.pointee.settings.spend(at: state.pointee.now) { unsafe state.pointee.fail(.flooded) }
        case NGHTTP2_RST_STREAM.rawValue: unsafe state.pointee.spendReset()
        default: break
        }
    }

    private static func sent(_ session: OpaquePointer, _ frame: UnsafePointer<nghttp2_frame>, _ state: State) {
        let header = unsafe frame.pointee.hd
        switch UInt32(header.type) {
        case NGHTTP2_RST_STREAM.rawValue:
            // Those behind a whole answer cost the client a request each.
            if unsafe frame.pointee.rst_stream.error_code != 0 { unsafe state.pointee.spendReset() }
        case NGHTTP2_GOAWAY.rawValue:
            let code = unsafe frame.pointee.goaway.error_code
            if code != 0 {
                unsafe state.pointee.fail(code == NGHTTP2_ENHANCE_YOUR_CALM.rawValue ? .flooded : .protocolError)
            }
        case NGHTTP2_HEADERS.rawValue, NGHTTP2_DATA.rawValue:
            guard UInt32(header.flags) & NGHTTP2_FLAG_END_STREAM.rawValue != 0,
                let stream = unsafe nghttp2_session_find_stream(session, header.stream_id),
                unsafe nghttp2_stream_get_state(stream) == NGHTTP2_STREAM_STATE_OPEN
            else { return }
            unsafe state.pointee.events.append(.answered(stream: header.stream_id))
        default: break
        }
    }

    // MARK: answers

    static func isLive(_ session: OpaquePointer, _ stream: Int32) -> Bool {
        guard let found = unsafe nghttp2_session_find_stream(session, stream) else { return false }
        let state = unsafe nghttp2_stream_get_state(found)
        return state != NGHTTP2_STREAM_STATE_CLOSED && state != NGHTTP2_STREAM_STATE_IDLE
    }

    /// The body that waits on a stream. Its slot is kept as the stream's user data, one higher, so that nil is none.
    static func body(_ session: OpaquePointer, _ state: State, _ stream: Int32) -> SlotID? {
        let slot = unsafe Int(bitPattern: nghttp2_session_get_stream_user_data(session, stream))
        return slot == 0 ? nil : unsafe state.pointee.bodies.occupant(Int32(slot - 1))
    }

    static func submit(
        _ session: OpaquePointer, _ state: State, _ stream: Int32, _ list: borrowing FieldList, endsStream: Bool
    ) -> Bool {
        guard let id = unsafe state.pointee.bodies.insert(OutboundBody(stream: stream, now: state.pointee.now))
        else { return false }
        let slot = unsafe UnsafeMutableRawPointer(bitPattern: Int(id.index) + 1)
        _ = unsafe nghttp2_session_set_stream_user_data(session, stream, slot)
        if endsStream { unsafe state.pointee.bodies[id].isEnded = true }
        var provider = unsafe nghttp2_data_provider()
        unsafe provider.read_callback = { session, stream, buffer, size, flags, _, user in
            unsafe SessionCallbacks.read(session!, SessionCallbacks.state(user), stream, buffer!, size, flags!)
        }
        let code = unsafe withFields(list) { fields, count in
            endsStream
                ? unsafe nghttp2_submit_response(session, stream, fields, count, nil)
                : unsafe nghttp2_submit_response(session, stream, fields, count, &provider)
        }
        return code == 0
    }
    static func submitInterim(_ session: OpaquePointer, _ stream: Int32, _ list: borrowing FieldList) {
        let flags = UInt8(NGHTTP2_FLAG_NONE.rawValue)
        _ = unsafe withFields(list) { unsafe nghttp2_submit_headers(session, flags, stream, nil, $0, $1, nil) }
    }

    /// nghttp2 copies what it is given.
    static func withFields(
        _ list: borrowing FieldList, _ body: (UnsafePointer<nghttp2_nv>?, Int) -> Int32
    ) -> Int32 {
        let count = list.fields.count
        return unsafe list.text.bytes.withUnsafeBufferPointer { text in
            let base = unsafe UnsafeMutablePointer(mutating: text.baseAddress)
            return unsafe withUnsafeTemporaryAllocation(of: nghttp2_nv.self, capacity: max(count, 1)) { pairs in
                for k in 0..<count {
                    let field = list.fields[k]
                    let pair = unsafe nghttp2_nv(
                        name: base.map { unsafe $0 + field.name.lowerBound },
                        value: base.map { unsafe $0 + field.value.lowerBound }, namelen: field.name.count,
                        valuelen: field.value.count, flags: UInt8(NGHTTP2_NV_FLAG_NONE.rawValue))
                    unsafe pairs.initializeElement(at: k, to: pair)
                }
                return unsafe body(pairs.baseAddress, count)
            }
        }
    }

    /// Pulls what waits on a stream; nothing does: the stream is deferred until more is queued.
    private static func read(
        _ session: OpaquePointer, _ state: State, _ stream: Int32, _ buffer: UnsafeMutablePointer<UInt8>, _ size: Int,
        _ flags: UnsafeMutablePointer<UInt32>
    ) -> Int {
        guard let id = unsafe body(session, state, stream) else { return Int(NGHTTP2_ERR_DEFERRED.rawValue) }
        let count = unsafe min(size, state.pointee.bodies[id].queue.count)
        if unsafe count == 0 && !state.pointee.bodies[id].isEnded { return Int(NGHTTP2_ERR_DEFERRED.rawValue) }
        if count > 0 { unsafe state.pointee.take(count, of: id, into: buffer) }
        if unsafe state.pointee.bodies[id].isEnded && state.pointee.bodies[id].queue.isEmpty {
            unsafe end(session, stream, state.pointee.bodies[id].trailers, flags)
        }
        return count
    }
    /// The body that is read is whole; `lines` of fields follow it, if there are any.
    static func end(
        _ session: OpaquePointer, _ stream: Int32, _ lines: [UInt8], _ flags: UnsafeMutablePointer<UInt32>
    ) {
        unsafe flags.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue
        if lines.isEmpty { return }
        var list = FieldList()
        list.begin()
        list.add(lines.span)
        unsafe flags.pointee |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
        _ = unsafe withFields(list) { unsafe nghttp2_submit_trailer(session, stream, $0, $1) }
    }
}

extension SessionState {
    /// Bytes that still wait on a stream when its sender is asked for more: so few that it never runs dry.
    private static var refill: Int { 16 * 1024 }

    /// Moves the first `count` bytes that wait to `buffer`, which has room for them.
    mutating func take(_ count: Int, of id: SlotID, into buffer: UnsafeMutablePointer<UInt8>) {
        unsafe bodies[id].queue.move(count, to: buffer)
        bodies[id].progress = now
        waiting -= count
        let left = bodies[id].queue.count
        if !bodies[id].isEnded && (left == 0 || left < Self.refill && left + count >= Self.refill) {
            events.append(.drained(stream: bodies[id].stream))
        }
    }
}

extension ByteQueue {
    /// Moves the first `count` bytes to `buffer`, which has room for them.
    mutating func move(_ count: Int, to buffer: UnsafeMutablePointer<UInt8>) {
        do {
            let bytes = bytes
            unsafe bytes.withUnsafeBufferPointer { unsafe buffer.update(from: $0.baseAddress!, count: count) }
        }
        consume(count)
    }
}
