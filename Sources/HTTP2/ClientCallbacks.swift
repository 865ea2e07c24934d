// The functions that nghttp2 calls for a client's session: they append to its state, and do nothing else.
// Own nothing: every pointer is used within the call only; the state behind `user_data` belongs to the session.
import Bytes
import CNGHTTP2

enum ClientCallbacks {
    typealias State = UnsafeMutablePointer<ClientState>

    private static func state(_ pointer: UnsafeMutableRawPointer?) -> State {
        unsafe pointer!.assumingMemoryBound(to: ClientState.self)
    }
    private static func span(_ start: UnsafePointer<UInt8>?, _ count: Int) -> UnsafeBufferPointer<UInt8> {
        unsafe UnsafeBufferPointer(start: start, count: count)
    }
    /// The request on a stream. Its slot is kept as the stream's user data, one higher, so that nil is none.
    private static func slot(_ session: OpaquePointer?, _ state: State, _ stream: Int32) -> SlotID? {
        let slot = unsafe Int(bitPattern: nghttp2_session_get_stream_user_data(session, stream))
        return slot == 0 ? nil : unsafe state.pointee.streams.occupant(Int32(truncatingIfNeeded: slot - 1))
    }

    static func makeSession(streams: Int) -> OwnedSession<ClientState>? {
        // Nobody asks for what a server would push (RFC 9113 section 8.4). What a client does not take waits here, one window
        // for each stream at most.
        unsafe OwnedSession(
            .client, ClientState(streams: streams),
            settings: [
                (NGHTTP2_SETTINGS_ENABLE_PUSH, 0),
                (NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, UInt32(HTTP2ClientSession.streamWindow)),
            ], window: HTTP2ClientSession.connectionWindow
        ) { callbacks, _ in
            unsafe register(callbacks)
            unsafe registerSending(callbacks)
        }
    }

    private static func register(_ callbacks: OpaquePointer?) {
        unsafe nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks) { session, frame, user in
            let state = unsafe ClientCallbacks.state(user), stream = unsafe frame!.pointee.hd.stream_id
            let slot = unsafe ClientCallbacks.slot(session, state, stream)
            let hasHead = slot.map { unsafe state.pointee.streams[$0].hasHead } ?? false
            unsafe state.pointee.beginFields(isTrailer: hasHead)
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_header_callback(callbacks) { _, _, name, n, value, v, _, user in
            let name = unsafe ClientCallbacks.span(name, n), value = unsafe ClientCallbacks.span(value, v)
            unsafe ClientCallbacks.state(user).pointee.add(name.span, value.span)
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) {
            session, _, stream, data, n, user in
            let part = unsafe ClientCallbacks.span(data, n), state = unsafe ClientCallbacks.state(user)
            unsafe state.pointee.unconsumed += n
            if let slot = unsafe ClientCallbacks.slot(session, state, stream) {
                unsafe state.pointee.received(part.span, on: slot)
            }
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { session, frame, user in
            unsafe ClientCallbacks.received(session!, frame!, ClientCallbacks.state(user))
            return 0
        }
    }
    private static func registerSending(_ callbacks: OpaquePointer?) {
        unsafe nghttp2_session_callbacks_set_on_frame_send_callback(callbacks) { session, frame, user in
            let header = unsafe frame!.pointee.hd, state = unsafe ClientCallbacks.state(user)
            guard UInt32(header.type) == NGHTTP2_HEADERS.rawValue,
                let slot = unsafe ClientCallbacks.slot(session, state, header.stream_id)
            else { return 0 }
            unsafe state.pointee.streams[slot].isSent = true
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { session, stream, code, user in
            let state = unsafe ClientCallbacks.state(user)
            guard let slot = unsafe ClientCallbacks.slot(session, state, stream) else { return 0 }
            unsafe state.pointee.streams[slot].isClosed = true
            // Without an error, too, a stream may be reset before its time.
            if unsafe code != 0 || !state.pointee.streams[slot].isAnswered {
                let isSafe = unsafe code == NGHTTP2_REFUSED_STREAM.rawValue || !state.pointee.streams[slot].isSent
                unsafe state.pointee.events.append(.failed(slot, isSafe: isSafe))
            }
            return 0
        }
    }
    private static func received(_ session: OpaquePointer, _ frame: UnsafePointer<nghttp2_frame>, _ state: State) {
        let header = unsafe frame.pointee.hd
        let ends = UInt32(header.flags) & NGHTTP2_FLAG_END_STREAM.rawValue != 0
        switch UInt32(header.type) {
        case NGHTTP2_HEADERS.rawValue:
            guard let slot = unsafe slot(session, state, header.stream_id) else { return }
            unsafe state.pointee.endFields(slot, endsStream: ends)
            if ends { unsafe state.pointee.endAnswer(slot) }
        case NGHTTP2_DATA.rawValue:
            guard ends, let slot = unsafe slot(session, state, header.stream_id) else { return }
            unsafe state.pointee.endAnswer(slot)
        case NGHTTP2_GOAWAY.rawValue: unsafe state.pointee.isEnding = true
        default: break
        }
    }

    // MARK: requests

    /// The number of the request's stream; nil when the session takes none.
    static func submit(
        _ session: OpaquePointer, _ slot: SlotID, _ list: borrowing FieldList, hasBody: Bool
    ) -> Int32? {
        let user = unsafe UnsafeMutableRawPointer(bitPattern: Int(slot.index) + 1)
        var provider = unsafe nghttp2_data_provider()
        unsafe provider.read_callback = { session, stream, buffer, size, flags, _, user in
            unsafe ClientCallbacks.read(session!, stream, ClientCallbacks.state(user), buffer!, size, flags!)
        }
        let stream = unsafe SessionCallbacks.withFields(list) { fields, count in
            hasBody
                ? unsafe nghttp2_submit_request(session, nil, fields, count, &provider, user)
                : unsafe nghttp2_submit_request(session, nil, fields, count, nil, user)
        }
        return stream > 0 ? stream : nil
    }
    /// Pulls what waits of a body; nothing does: it is deferred until more is queued.
    private static func read(
        _ session: OpaquePointer, _ stream: Int32, _ state: State, _ buffer: UnsafeMutablePointer<UInt8>, _ size: Int,
        _ flags: UnsafeMutablePointer<UInt32>
    ) -> Int {
        guard let slot = unsafe slot(session, state, stream) else { return Int(NGHTTP2_ERR_DEFERRED.rawValue) }
        let count = unsafe min(size, state.pointee.streams[slot].body.count)
        if unsafe count == 0 && !state.pointee.streams[slot].bodyHasEnded {
            return Int(NGHTTP2_ERR_DEFERRED.rawValue)
        }
        if count > 0 { unsafe state.pointee.streams[slot].body.move(count, to: buffer) }
        if unsafe state.pointee.streams[slot].bodyHasEnded && state.pointee.streams[slot].body.isEmpty {
            let trailers = unsafe state.pointee.streams[slot].bodyTrailers
            unsafe SessionCallbacks.end(session, stream, trailers, flags)
        }
        return count
    }
}
