// Locks a name, and a name from one address, after failed logins, with a pause that doubles (OWASP).
import Foundation
import HTTPTypes

/// One try to log in: the name as it was typed, known or not, and where it came from.
struct LoginAttempt: Sendable {
    let name: String
    let address: String
}

struct LoginLimiter: Sendable {
    let store: any SessionStore

    /// Throws `account_locked` while the name, or the name from this address, is locked.
    func admit(_ attempt: LoginAttempt, at now: Date) async throws {
        try Self.refuse(try await store.lock(of: LoginCounters(attempt), nowMilliseconds: now.milliseconds))
    }

    /// Counts a wrong password. Of many tries at once only as many learn that theirs was wrong as the rules allow:
    /// the others, which were admitted before the lock, are told of the lock instead.
    func recordFailure(_ attempt: LoginAttempt, at now: Date) async throws {
        try Self.refuse(try await store.recordFailure(LoginCounters(attempt), nowMilliseconds: now.milliseconds))
    }

    /// Forgets the failures from this address, which were the owner's own; those from elsewhere stay counted.
    func recordSuccess(_ attempt: LoginAttempt, at now: Date) async throws {
        try Self.refuse(try await store.recordSuccess(LoginCounters(attempt), nowMilliseconds: now.milliseconds))
    }

    private static func refuse(_ milliseconds: Int64) throws(Problem) {
        guard milliseconds > 0 else { return }
        throw .accountLocked(seconds: Int((milliseconds + 999) / 1000))
    }
}

extension Problem {
    static func accountLocked(seconds: Int) -> Problem {
        Problem(
            status: .tooManyRequests, code: "account_locked",
            detail: "too many wrong passwords for this name: try again later", retryAfterSeconds: seconds)
    }

    static func rateLimited(seconds: Int) -> Problem {
        Problem(
            status: .tooManyRequests, code: "rate_limited", detail: "too many logins from this address",
            retryAfterSeconds: seconds)
    }
}
