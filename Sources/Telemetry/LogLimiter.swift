// A bound on how many lines one reason may write, so that an attack cannot fill a disk or hide another event.
package import Bytes

/// Admits ten lines a second for each reason: enough to see what goes on, far below what a disk takes.
package struct LogLimiter: ~Copyable {
    package static let linesPerSecond: UInt32 = 10

    /// Not private: the compiler (6.3) fails on a hidden element type where another module destroys the limiter.
    package struct Window: BitwiseCopyable {
        var startNanoseconds: UInt64 = 0
        var written: UInt32 = 0
        var suppressed: UInt64 = 0
    }
    package enum Verdict: Equatable, Sendable {
        /// Write it; so many before it were not written.
        case write(suppressed: UInt64)
        case suppress
    }
    private var windows: FixedArray<Window>

    package init(reasons: Int) { windows = FixedArray(repeating: Window(), count: reasons + 1) }

    /// Reasons that are out of range share one limit.
    package mutating func admit(_ reason: Int, now: Instant) -> Verdict {
        let i = reason >= 0 && reason < windows.count - 1 ? reason : windows.count - 1
        if now.nanoseconds &- windows[i].startNanoseconds >= 1_000_000_000 {
            windows[i].startNanoseconds = now.nanoseconds
            windows[i].written = 0
        }
        guard windows[i].written < Self.linesPerSecond else {
            windows[i].suppressed &+= 1
            return .suppress
        }
        windows[i].written &+= 1
        defer { windows[i].suppressed = 0 }
        return .write(suppressed: windows[i].suppressed)
    }
}
