// Whether a service that keeps failing is asked again. Pure: it is told what happened and when.
package import Bytes

/// Opens after some failures in a row; then nobody is sent there for a while, which doubles each time that the one who is sent
/// to try fails too.
package struct CircuitBreaker: Sendable {
    package enum State: UInt8, Sendable { case closed, open, halfOpen }

    /// Failures in a row that are no accident any more.
    package static let threshold = 5
    private static let second: UInt64 = 1_000_000_000
    private static let longestPause = 30 * second

    package private(set) var state = State.closed
    private var failures = 0
    private var pause = CircuitBreaker.second
    private var opensUntil = Instant(nanoseconds: 0)

    package init() {}

    /// Whether one more may be sent. Of those who ask while it is half open the first one may, and nobody else before the
    /// outcome of that is told.
    package mutating func admits(now: Instant) -> Bool {
        switch state {
        case .closed: return true
        case .halfOpen: return false
        case .open:
            guard now >= opensUntil else { return false }
            state = .halfOpen
            return true
        }
    }
    package mutating func succeeded() {
        state = .closed
        failures = 0
        pause = Self.second
    }
    /// True when it opened for the first time since the last success.
    package mutating func failed(now: Instant) -> Bool {
        failures += 1
        switch state {
        case .open: return false
        case .closed:
            guard failures >= Self.threshold else { return false }
            open(now)
            return true
        case .halfOpen:
            pause = min(pause * 2, Self.longestPause)
            open(now)
            return false
        }
    }
    private mutating func open(_ now: Instant) {
        state = .open
        opensUntil = Instant(nanoseconds: now.nanoseconds &+ pause)
    }
    /// In how many seconds asking may help; at least 1.
    package func retryAfterSeconds(now: Instant) -> Int {
        guard state == .open, opensUntil > now else { return 1 }
        return Int((opensUntil.nanoseconds &- now.nanoseconds &+ Self.second - 1) / Self.second)
    }
}
