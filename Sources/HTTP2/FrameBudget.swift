// How many frames of one kind a client may send, or cause.
import Bytes

/// Whole frames, refilled at a steady rate; frames beyond it end the connection.
struct FrameBudget {
    private let burst: UInt64
    /// Nanoseconds in which one more frame is allowed.
    private let interval: UInt64
    private var left: UInt64
    private var last: Instant

    init(_ burst: UInt64, perSecond rate: UInt64, now: Instant) {
        self.burst = burst
        interval = 1_000_000_000 / rate
        left = burst
        last = now
    }

    /// False when none is left.
    mutating func spend(at now: Instant) -> Bool {
        if now > last {
            let earned = (now.nanoseconds - last.nanoseconds) / interval
            left = min(burst, left + min(earned, burst))
            last.nanoseconds += earned * interval
        }
        guard left > 0 else { return false }
        left -= 1
        return true
    }
}
