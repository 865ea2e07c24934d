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

    package init() {}
}
