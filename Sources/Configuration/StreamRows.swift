// Whether connections may carry many requests at once, and how many: their rows.

/// What a server says about HTTP/2; begins as a copy of what the file says outside of servers.
struct StreamDraft {
    var isOffered = false
    /// What browsers and gRPC clients expect to be allowed.
    var limit = 128

    static let rows: [Directive<StreamDraft>] = [
        .setting(
            "http2", in: [.main, .server], .flag, \.isOffered,
            "Whether HTTP/2 is offered: over TLS by ALPN, in clear text to clients that begin with it"),
        // What one client may hold of the gateway at once.
        .setting(
            "http2_max_concurrent_streams", in: [.main, .server], .count(1...1000), \.limit,
            "Requests that one connection of HTTP/2 may carry at once"),
    ]

    init() {}
    init(streams: Int) {
        isOffered = streams > 0
        if isOffered { limit = streams }
    }

    /// 0: none are offered.
    var streams: Int { isOffered ? limit : 0 }
}
