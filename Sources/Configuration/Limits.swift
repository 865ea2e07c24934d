// Bounds on what a client may send and how long it may take.

/// Limits of one location; those that hold before a location is known come from the listener's default server.
package struct RequestLimits: Sendable, Equatable {
    /// From the first byte to the end of the head, absolute.
    package var headerTimeout: Duration = .seconds(10)
    /// Between two reads of a body.
    package var bodyTimeout: Duration = .seconds(30)
    /// Bytes a second that a body must bring on average once 10 s have passed; 0: any.
    package var bodyMinimumRate = 500
    /// Without progress in writing to the client.
    package var sendTimeout: Duration = .seconds(30)
    package var keepaliveTimeout: Duration = .seconds(75)
    package var keepaliveRequests = 10_000
    /// Bytes; 0: unlimited.
    package var bodySize = 10 * 1024 * 1024
    /// Bytes of the request line, and of one header line.
    package var lineSize = 16 * 1024
    /// Bytes of a whole head.
    package var headSize = 32 * 1024
    package var fieldCount = 100
    /// False: fields with `_` in their name are dropped.
    package var allowsUnderscores = false
    package var trustedProxies = TrustedProxies()

    package init() {}

    private static let anywhere: [BlockKind] = [.main, .server, .location]
    private static let beforeLocation: [BlockKind] = [.main, .server]
    /// A timeout of an hour is as good as none; none is a way to be held up for ever.
    private static let timeouts: ClosedRange<Duration> = .milliseconds(1) ... .seconds(3600)

    static let rows: [Directive<RouteSettings>] = [
        .setting(
            "client_header_timeout", in: beforeLocation, .time(timeouts), \.limits.headerTimeout,
            "From the first byte of a request to the end of its head, absolute"),
        .setting(
            "client_body_timeout", in: anywhere, .time(timeouts), \.limits.bodyTimeout, "Between two reads of a body"),
        .setting(
            "client_body_min_rate", in: anywhere, .size(0...1 << 30), \.limits.bodyMinimumRate,
            "Bytes a second that a body must bring on average after its first 10 s; 0: any"),
        .setting(
            "send_timeout", in: anywhere, .time(timeouts), \.limits.sendTimeout,
            "Without progress in writing to the client"),
        .setting(
            "keepalive_timeout", in: anywhere, .time(.zero ... .seconds(86_400)), \.limits.keepaliveTimeout,
            "How long an idle client connection is kept; 0: not at all"),
        .setting(
            "keepalive_requests", in: anywhere, .count(1...1_000_000_000), \.limits.keepaliveRequests,
            "Requests of one client connection"),
        .setting(
            "client_max_body_size", in: anywhere, .size(0...1 << 40), \.limits.bodySize,
            "Bytes of a request body; 0: unlimited"),
        // The bounds are those of the parser's offsets with room to spare; less than 1k breaks ordinary clients.
        .setting(
            "client_header_line_size", in: beforeLocation, .size(1024...1 << 20), \.limits.lineSize,
            "Bytes of the request line, and of one header line"),
        .setting(
            "client_header_size", in: beforeLocation, .size(1024...4 << 20), \.limits.headSize,
            "Bytes of a whole request head"),
        .setting(
            "client_header_count", in: beforeLocation, .count(8...1000), \.limits.fieldCount, "Fields of a request head"
        ),
        .setting(
            "underscores_in_headers", in: beforeLocation, .flag, \.limits.allowsUnderscores,
            "Whether fields with \"_\" in their name are passed on rather than dropped"),
        .setting(
            "trusted_proxies", in: beforeLocation, .proxies, \.limits.trustedProxies,
            "Who is believed about whom a request is from, by X-Forwarded-For, -Proto and -Host, and about whom a "
                + "connection is from where `listen` says \"proxy_protocol\"; that of an address's default server counts"
        ),
    ]
}
