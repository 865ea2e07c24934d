// When a rotation that was refused is tried again: after a second, then less and less often, at once when a file changes.

struct RotationAttempts {
    private static let longestPauseSeconds = 60

    private var stamp: [String] = []
    private var tryAgainAt: ContinuousClock.Instant?
    private var pauseSeconds = 1
    private var seen: Set<String> = []

    /// Whether it is time for the next one. Other files than at the last one: whatever stood in the way may be gone.
    mutating func isOpen(for stamp: [String], at now: ContinuousClock.Instant) -> Bool {
        if stamp != self.stamp {
            self = Self()
            self.stamp = stamp
        }
        return tryAgainAt.map { now >= $0 } ?? true
    }

    /// Notes a refusal, which may have left traces in the files; returns whether it is the first for this reason.
    mutating func refuse(_ reason: String, stamp: [String], at now: ContinuousClock.Instant) -> Bool {
        self.stamp = stamp
        tryAgainAt = now + .seconds(pauseSeconds)
        pauseSeconds = min(pauseSeconds * 2, Self.longestPauseSeconds)
        return seen.insert(reason).inserted
    }
}
