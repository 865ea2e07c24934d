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

    static func makeSession(_ state: State, _ limits: HTTP2Limits) -> OpaquePointer? {
        var callbacks: OpaquePointer?
        var option: OpaquePointer?
        guard unsafe nghttp2_session_callbacks_new(&callbacks) == 0 else { return nil }
        defer { unsafe nghttp2_session_callbacks_del(callbacks) }
        guard unsafe nghttp2_option_new(&option) == 0 else { return nil }
        defer { unsafe nghttp2_option_del(option) }
        unsafe register(callbacks)
        unsafe nghttp2_option_set_no_auto_window_update(option, 1)
        unsafe nghttp2_option_set_max_outbound_ack(option, limits.waitingAcknowledgements)
        unsafe nghttp2_option_set_stream_reset_rate_limit(option, limits.resetBurst, limits.resetsPerSecond)
        unsafe nghttp2_option_set_no_closed_streams(option, 1)
        var session: OpaquePointer?
        guard unsafe nghttp2_session_server_new2(&session, callbacks, state, option) == 0 else { return nil }
        var settings = [
            setting(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits.streamCount),
            setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, UInt32(limits.streamWindow)),
            setting(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, UInt32(limits.head.headSize)),
        ]
        let flags = UInt8(NGHTTP2_FLAG_NONE.rawValue)
        guard unsafe nghttp2_submit_settings(session, flags, &settings, settings.count) == 0,
            unsafe nghttp2_session_set_local_window_size(session, flags, 0, limits.connectionWindow) == 0
        else {
            unsafe nghttp2_session_del(session)
            return nil
        }
        return unsafe session
    }
    private static func setting(_ id: nghttp2_settings_id, _ value: UInt32) -> nghttp2_settings_entry {
        nghttp2_settings_entry(settings_id: Int32(id.rawValue), value: value)
    }

    private static func register(_ callbacks: OpaquePointer?) {
        unsafe nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks) { _, frame, user in
            let category = unsafe frame!.pointee.headers.cat
            unsafe SessionCallbacks.state(user).pointee.beginSection(isTrailer: category != NGHTTP2_HCAT_REQUEST)
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_header_callback(callbacks) { _, _, name, n, value, v, _, user in
            let name = unsafe SessionCallbacks.span(name, n), value = unsafe SessionCallbacks.span(value, v)
            unsafe SessionCallbacks.state(user).pointee.section.add(name.span, value.span)
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks) { _, _, name, n, value, v, _, user in
            let name = unsafe SessionCallbacks.span(name, n), value = unsafe SessionCallbacks.span(value, v)
            unsafe SessionCallbacks.state(user).pointee.section.add(name.span, value.span)
            unsafe SessionCallbacks.state(user).pointee.section.refuse(.fieldValue)
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) { _, _, stream, data, n, user in
            let part = unsafe SessionCallbacks.span(data, n)
            unsafe SessionCallbacks.state(user).pointee.body(part.span, stream: stream)
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, user in
            unsafe SessionCallbacks.received(frame!, SessionCallbacks.state(user))
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks) { _, frame, _, user in
            let stream = unsafe frame!.pointee.hd.stream_id
            if stream != 0 {
                unsafe SessionCallbacks.state(user).pointee.events.append(.refused(stream: stream, .invalid))
            }
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_frame_send_callback(callbacks) { _, frame, user in
            if unsafe UInt32(frame!.pointee.hd.type) == NGHTTP2_RST_STREAM.rawValue {
                let state = unsafe SessionCallbacks.state(user)
                if unsafe !state.pointee.resets.spend(at: state.pointee.now) { unsafe state.pointee.isOverdrawn = true }
            }
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { session, stream, code, user in
            let state = unsafe SessionCallbacks.state(user)
            if let id = unsafe SessionCallbacks.body(session!, state, stream) {
                unsafe state.pointee.bodies.destroy(id)
            }
            unsafe state.pointee.events.append(.closed(stream: stream, code: code))
            return 0
        }
    }

    // MARK: frames

    private static func received(_ frame: UnsafePointer<nghttp2_frame>, _ state: State) {
        let header = unsafe frame.pointee.hd
        let ends = UInt32(header.flags) & NGHTTP2_FLAG_END_STREAM.rawValue != 0
        switch UInt32(header.type) {
        case NGHTTP2_HEADERS.rawValue:
            let isTrailer = unsafe frame.pointee.headers.cat != NGHTTP2_HCAT_REQUEST
            unsafe state.pointee.endSection(stream: header.stream_id, isTrailer: isTrailer, endsStream: ends)
            if ends { unsafe state.pointee.events.append(.end(stream: header.stream_id)) }
        case NGHTTP2_DATA.rawValue:
            let isEmpty = unsafe header.length == frame.pointee.data.padlen
            if ends {
                unsafe state.pointee.events.append(.end(stream: header.stream_id))
            } else if isEmpty, unsafe !state.pointee.empties.spend(at: state.pointee.now) {
                unsafe state.pointee.isOverdrawn = true
            }
        case NGHTTP2_PRIORITY.rawValue:
            if unsafe !state.pointee.empties.spend(at: state.pointee.now) { unsafe state.pointee.isOverdrawn = true }
        case NGHTTP2_SETTINGS.rawValue:
            if unsafe !state.pointee.settings.spend(at: state.pointee.now) { unsafe state.pointee.isOverdrawn = true }
        default: break
        }
    }

    // MARK: answers

    /// The body that waits on a stream. Its slot is kept as the stream's user data, one higher, so that nil is none.
    static func body(_ session: OpaquePointer, _ state: State, _ stream: Int32) -> SlotID? {
        let slot = unsafe Int(bitPattern: nghttp2_session_get_stream_user_data(session, stream))
        return slot == 0 ? nil : unsafe state.pointee.bodies.occupant(Int32(slot - 1))
    }

    static func submit(
        _ session: OpaquePointer, _ state: State, _ stream: Int32, _ list: FieldList, endsStream: Bool
    ) -> Bool {
        guard let id = unsafe state.pointee.bodies.insert(OutboundBody()) else { return false }
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

    private static func withFields(
        _ list: FieldList, _ body: (UnsafePointer<nghttp2_nv>?, Int) -> Int32
    ) -> Int32 {
        var text = list.text
        return unsafe text.withUnsafeMutableBufferPointer { bytes in
            let base = bytes.baseAddress
            let fields = unsafe list.fields.map { field in
                unsafe nghttp2_nv(
                    name: base.map { unsafe $0 + field.name.lowerBound },
                    value: base.map { unsafe $0 + field.value.lowerBound }, namelen: field.name.count,
                    valuelen: field.value.count, flags: UInt8(NGHTTP2_NV_FLAG_NONE.rawValue))
            }
            return unsafe fields.withUnsafeBufferPointer { unsafe body($0.baseAddress, $0.count) }
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
        if count > 0 { unsafe state.pointee.bodies[id].take(count, into: buffer) }
        guard unsafe state.pointee.bodies[id].isEnded && state.pointee.bodies[id].queue.isEmpty else { return count }
        unsafe flags.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue
        let lines = unsafe state.pointee.bodies[id].trailers
        if !lines.isEmpty {
            var list = FieldList()
            list.add(lines.span)
            unsafe flags.pointee |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
            _ = unsafe withFields(list) { unsafe nghttp2_submit_trailer(session, stream, $0, $1) }
        }
        return count
    }
}

extension OutboundBody {
    /// Moves the first `count` bytes that wait to `buffer`, which has room for them.
    mutating func take(_ count: Int, into buffer: UnsafeMutablePointer<UInt8>) {
        unsafe queue.bytes.withUnsafeBufferPointer { unsafe buffer.update(from: $0.baseAddress!, count: count) }
        queue.consume(count)
    }
}
