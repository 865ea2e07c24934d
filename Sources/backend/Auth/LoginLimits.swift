// Everything that stands around a login: the rate of its address, the locks of its name, the audit and the counters.
import Foundation

struct LoginLimits: Sendable {
    private static let counter = "backend_logins_total"

    private let rate: AddressRate
    private let limiter: LoginLimiter
    private let audit: AuditLog
    private let metrics: MetricRegistry

    init(rate: AddressRate, limiter: LoginLimiter, audit: AuditLog, metrics: MetricRegistry) {
        self.rate = rate
        self.limiter = limiter
        self.audit = audit
        self.metrics = metrics
        metrics.counter(
            Self.counter, "Logins by what became of them.",
            labels: ["ok", "refused", "locked", "rate_limited", "failed"].map { "result=\"\($0)\"" })
    }

    /// Throws `rate_limited` when the address asks too often; its body is not read then.
    func admit(_ address: String) throws(Problem) {
        guard let seconds = rate.take(address, at: .now) else { return }
        count("rate_limited")
        audit.record(.loginLimited, address: address)
        throw .rateLimited(seconds: seconds)
    }

    /// Lets `login` look at the password unless the name is locked, and counts what it says. Its tokens are given
    /// away only when no other try has locked the name meanwhile.
    func guarding<Answer: Sendable>(
        _ attempt: LoginAttempt, _ login: () async throws -> Answer
    ) async throws -> Answer {
        do {
            try await limiter.admit(attempt, at: .now)
            let answer = try await checked(attempt, login)
            count("ok")
            audit.record(.login, subject: attempt.name, address: attempt.address)
            return answer
        } catch let problem as Problem {
            note(problem, attempt)
            throw problem
        } catch {
            count("failed")
            throw error
        }
    }

    private func checked<Answer: Sendable>(
        _ attempt: LoginAttempt, _ login: () async throws -> Answer
    ) async throws -> Answer {
        do {
            let answer = try await login()
            try await limiter.recordSuccess(attempt, at: .now)
            return answer
        } catch let problem as Problem where problem.code == Problem.invalidCredentials.code {
            try await limiter.recordFailure(attempt, at: .now)
            throw problem
        }
    }

    /// A refused name is not logged: people type passwords into the wrong field.
    private func note(_ problem: Problem, _ attempt: LoginAttempt) {
        switch problem.code {
        case "invalid_credentials":
            count("refused")
            audit.record(.loginRefused, address: attempt.address)
        case "account_locked":
            count("locked")
            audit.record(.loginLocked, address: attempt.address)
        default: count("failed")
        }
    }

    private func count(_ result: String) { metrics.add(Self.counter, label: "result=\"\(result)\"") }
}
