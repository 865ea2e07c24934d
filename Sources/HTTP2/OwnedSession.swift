// A session of nghttp2 and what its callbacks write to.
// Owns both, and frees them in deinit; the state's address is stable for as long.
import CNGHTTP2

@safe struct OwnedSession<State: ~Copyable>: ~Copyable {
    enum Side { case client, server }

    let session: OpaquePointer
    let state: UnsafeMutablePointer<State>

    /// Nil when there is no memory. Our SETTINGS wait already.
    /// - Parameters:
    ///   - window: bytes that the other side may send on all streams before some are taken.
    ///   - prepare: sets the callbacks and further options.
    init?(
        _ side: Side, _ first: consuming State, settings: [(nghttp2_settings_id, UInt32)], window: Int32,
        _ prepare: (_ callbacks: OpaquePointer?, _ option: OpaquePointer?) -> Void
    ) {
        let state = UnsafeMutablePointer<State>.allocate(capacity: 1)
        unsafe state.initialize(to: first)
        guard let session = unsafe Self.begin(side, state, prepare), unsafe Self.submit(settings, window, to: session)
        else {
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

    private static func begin(
        _ side: Side, _ state: UnsafeMutablePointer<State>, _ prepare: (OpaquePointer?, OpaquePointer?) -> Void
    ) -> OpaquePointer? {
        var callbacks: OpaquePointer?, option: OpaquePointer?, session: OpaquePointer?
        guard unsafe nghttp2_session_callbacks_new(&callbacks) == 0 else { return nil }
        defer { unsafe nghttp2_session_callbacks_del(callbacks) }
        guard unsafe nghttp2_option_new(&option) == 0 else { return nil }
        defer { unsafe nghttp2_option_del(option) }
        // Windows open when what came was taken, not before.
        unsafe nghttp2_option_set_no_auto_window_update(option, 1)
        unsafe prepare(callbacks, option)
        let code =
            switch side {
            case .client: unsafe nghttp2_session_client_new2(&session, callbacks, state, option)
            case .server: unsafe nghttp2_session_server_new2(&session, callbacks, state, option)
            }
        return code == 0 ? unsafe session : nil
    }
    /// False: there is no session any more.
    private static func submit(
        _ settings: [(nghttp2_settings_id, UInt32)], _ window: Int32, to session: OpaquePointer
    ) -> Bool {
        let flags = UInt8(NGHTTP2_FLAG_NONE.rawValue)
        let entries = settings.map { nghttp2_settings_entry(settings_id: Int32($0.rawValue), value: $1) }
        if unsafe nghttp2_submit_settings(session, flags, entries, entries.count) == 0,
            unsafe nghttp2_session_set_local_window_size(session, flags, 0, window) == 0
        {
            return true
        }
        unsafe nghttp2_session_del(session)
        return false
    }
}
