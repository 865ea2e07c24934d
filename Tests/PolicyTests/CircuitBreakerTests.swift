// When a service that fails is left in peace, and when it is tried again.
import Bytes
import Policy
import Testing

/// A breaker that may be asked inside of an expectation.
private final class Kept {
    private var breaker = CircuitBreaker()
    var state: CircuitBreaker.State { breaker.state }
    func admits(now: Instant) -> Bool { breaker.admits(now: now) }
    func succeeded() { breaker.succeeded() }
    @discardableResult func failed(now: Instant) -> Bool { breaker.failed(now: now) }
    func retryAfterSeconds(now: Instant) -> Int { breaker.retryAfterSeconds(now: now) }
}

struct CircuitBreakerTests {
    private func at(_ milliseconds: UInt64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

    private func opened() -> Kept {
        let breaker = Kept()
        for i in 1...CircuitBreaker.threshold {
            #expect(breaker.admits(now: at(0)))
            #expect(breaker.failed(now: at(0)) == (i == CircuitBreaker.threshold))
        }
        return breaker
    }

    @Test func opensAfterFailuresInARow() {
        let breaker = opened()
        #expect(breaker.state == .open)
        #expect(!breaker.admits(now: at(999)))
        #expect(breaker.retryAfterSeconds(now: at(0)) == 1)
    }
    @Test func aSuccessBetweenThemForgets() {
        let breaker = Kept()
        for _ in 0..<20 {
            for _ in 1..<CircuitBreaker.threshold { #expect(!breaker.failed(now: at(0))) }
            breaker.succeeded()
        }
        #expect(breaker.state == .closed)
    }
    @Test func oneMayTryAndHisSuccessCloses() {
        let breaker = opened()
        #expect(breaker.admits(now: at(1000)))
        #expect(breaker.state == .halfOpen)
        for time: UInt64 in [1000, 99_000] { #expect(!breaker.admits(now: at(time)), "the first one is not back yet") }
        breaker.succeeded()
        for _ in 0..<3 { #expect(breaker.admits(now: at(1001))) }
    }
    @Test func theRestGrowsToHalfAMinute() {
        let breaker = opened()
        var now: UInt64 = 1000
        for rest: UInt64 in [2, 4, 8, 16, 30, 30] {
            #expect(breaker.admits(now: at(now)))
            #expect(!breaker.failed(now: at(now)))
            #expect(breaker.retryAfterSeconds(now: at(now)) == Int(rest))
            #expect(!breaker.admits(now: at(now + rest * 1000 - 1)))
            now += rest * 1000
        }
        #expect(breaker.admits(now: at(now)))
        breaker.succeeded()
        for _ in 0..<CircuitBreaker.threshold { breaker.failed(now: at(now)) }
        #expect(breaker.retryAfterSeconds(now: at(now)) == 1, "and begins anew after a success")
    }
    @Test func lateFailuresOfOthersDoNotProlongIt() {
        let breaker = opened()
        for _ in 0..<10 { #expect(!breaker.failed(now: at(900))) }
        #expect(breaker.admits(now: at(1000)))
    }
}
