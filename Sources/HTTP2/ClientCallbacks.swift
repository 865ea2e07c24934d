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

    static func makeSession(_ state: State) -> OpaquePointer? {
        var callbacks: OpaquePointer?
        guard unsafe nghttp2_session_callbacks_new(&callbacks) == 0 else { return nil }
        defer { unsafe nghttp2_session_callbacks_del(callbacks) }
        unsafe register(callbacks)
        var session: OpaquePointer?
        guard unsafe nghttp2_session_client_new(&session, callbacks, state) == 0 else { return nil }
        // Nobody asks for what a server would push (RFC 9113 section 8.4), and bodies are bounded by reading no further.
        var settings = [
            nghttp2_settings_entry(settings_id: Int32(NGHTTP2_SETTINGS_ENABLE_PUSH.rawValue), value: 0),
            nghttp2_settings_entry(settings_id: Int32(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE.rawValue), value: 1 << 20),
        ]
        let flags = UInt8(NGHTTP2_FLAG_NONE.rawValue)
        guard unsafe nghttp2_submit_settings(session, flags, &settings, settings.count) == 0,
            unsafe nghttp2_session_set_local_window_size(session, flags, 0, 1 << 20) == 0
        else {
            unsafe nghttp2_session_del(session)
            return nil
        }
        return unsafe session
    }

    private static func register(_ callbacks: OpaquePointer?) {
        unsafe nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks) { _, _, user in
            unsafe ClientCallbacks.state(user).pointee.beginFields()
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_header_callback(callbacks) { _, _, name, n, value, v, _, user in
            let name = unsafe ClientCallbacks.span(name, n), value = unsafe ClientCallbacks.span(value, v)
            unsafe ClientCallbacks.state(user).pointee.add(name.span, value.span)
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) { _, _, stream, data, n, user in
            let part = unsafe ClientCallbacks.span(data, n), state = unsafe ClientCallbacks.state(user)
            if unsafe stream == state.pointee.stream { unsafe state.pointee.received(part.span) }
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, user in
            unsafe ClientCallbacks.received(frame!, ClientCallbacks.state(user))
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, stream, code, user in
            let state = unsafe ClientCallbacks.state(user)
            guard unsafe stream == state.pointee.stream else { return 0 }
            unsafe state.pointee.stream = 0
            if code != 0 {
                unsafe state.pointee.events.append(.failed(isSafe: code == NGHTTP2_REFUSED_STREAM.rawValue))
            }
            return 0
        }
    }
    private static func received(_ frame: UnsafePointer<nghttp2_frame>, _ state: State) {
        let header = unsafe frame.pointee.hd
        let ends = UInt32(header.flags) & NGHTTP2_FLAG_END_STREAM.rawValue != 0
        switch UInt32(header.type) {
        case NGHTTP2_HEADERS.rawValue:
            guard unsafe header.stream_id == state.pointee.stream else { return }
            unsafe state.pointee.endFields(endsStream: ends)
            if ends { unsafe state.pointee.events.append(.end) }
        case NGHTTP2_DATA.rawValue:
            if unsafe ends && header.stream_id == state.pointee.stream { unsafe state.pointee.events.append(.end) }
        case NGHTTP2_GOAWAY.rawValue: unsafe state.pointee.isEnding = true
        default: break
        }
    }

    // MARK: requests

    /// The number of the request's stream; nil when the session takes none.
    static func submit(
        _ session: OpaquePointer, _ state: State, _ list: borrowing FieldList, hasBody: Bool
    ) -> Int32? {
        var provider = unsafe nghttp2_data_provider()
        unsafe provider.read_callback = { session, _, buffer, size, flags, _, user in
            unsafe ClientCallbacks.read(session!, ClientCallbacks.state(user), buffer!, size, flags!)
        }
        let stream = unsafe SessionCallbacks.withFields(list) { fields, count in
            hasBody
                ? unsafe nghttp2_submit_request(session, nil, fields, count, &provider, nil)
                : unsafe nghttp2_submit_request(session, nil, fields, count, nil, nil)
        }
        return stream > 0 ? stream : nil
    }
    /// Pulls what waits of the body; nothing does: it is deferred until more is queued.
    private static func read(
        _ session: OpaquePointer, _ state: State, _ buffer: UnsafeMutablePointer<UInt8>, _ size: Int,
        _ flags: UnsafeMutablePointer<UInt32>
    ) -> Int {
        let count = unsafe min(size, state.pointee.body.count)
        if unsafe count == 0 && !state.pointee.bodyHasEnded { return Int(NGHTTP2_ERR_DEFERRED.rawValue) }
        if count > 0 { unsafe state.pointee.take(count, into: buffer) }
        guard unsafe state.pointee.bodyHasEnded && state.pointee.body.isEmpty else { return count }
        unsafe flags.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue
        let lines = unsafe state.pointee.trailers
        if !lines.isEmpty {
            var list = FieldList()
            list.begin()
            list.add(lines.span)
            unsafe flags.pointee |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
            let stream = unsafe state.pointee.stream
            _ = unsafe SessionCallbacks.withFields(list) { unsafe nghttp2_submit_trailer(session, stream, $0, $1) }
        }
        return count
    }
}

extension ClientState {
    /// Moves the first `count` bytes that wait to `buffer`, which has room for them.
    fileprivate mutating func take(_ count: Int, into buffer: UnsafeMutablePointer<UInt8>) {
        unsafe copy(count, to: buffer)
        body.consume(count)
    }
    private func copy(_ count: Int, to buffer: UnsafeMutablePointer<UInt8>) {
        let bytes = body.bytes
        unsafe bytes.withUnsafeBufferPointer { unsafe buffer.update(from: $0.baseAddress!, count: count) }
    }
}
