// What is known about the health of one server of a group.

package struct HealthGauges: Sendable, Equatable {
    package let upstream: String
    package let server: String
    package private(set) var isHealthy = true
    package private(set) var passed: UInt64 = 0
    package private(set) var failed: UInt64 = 0

    package init(upstream: String, server: String) {
        self.upstream = upstream
        self.server = server
    }

    /// One check is over.
    package mutating func note(passed isGood: Bool, isHealthy: Bool) {
        if isGood { passed += 1 } else { failed += 1 }
        self.isHealthy = isHealthy
    }
}
