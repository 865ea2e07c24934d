// What checks say of one endpoint over time. Pure: it is told the outcomes and says when its mind changes.

/// One endpoint is taken out of service after some failures in a row, and put back after some successes in a row.
package struct HealthRecord: Sendable, Equatable {
    package private(set) var isHealthy = true
    private let fails: Int
    private let passes: Int
    private var inRow = 0

    package init(fails: Int, passes: Int) {
        self.fails = fails
        self.passes = passes
    }

    /// True: the endpoint is healthy now and was not before, or the other way round.
    package mutating func note(passed: Bool) -> Bool {
        if passed == isHealthy {
            inRow = 0
            return false
        }
        inRow += 1
        guard inRow >= (isHealthy ? fails : passes) else { return false }
        isHealthy = passed
        inRow = 0
        return true
    }
}
