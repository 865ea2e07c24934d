// Counts failed logins per name and per name and address, on disk, and locks with a pause that doubles (OWASP).
import Foundation
import GRDB
import HTTPTypes

/// One try to log in: the name as it was typed, known or not, and where it came from.
struct LoginAttempt: Sendable {
    let name: String
    let address: String

    /// Hashes: names that nobody has may be passwords typed into the wrong field.
    fileprivate var pair: Data { Data(sha256Of: "pair\0\(name)\0\(AddressRate.network(of: address))") }
    fileprivate var nameAlone: Data { Data(sha256Of: "name\0\(name)") }
}

struct LoginLimiter: Sendable {
    private struct Rule {
        let failures: Int
        /// A stranger's failures must not keep the owner of a name out for long.
        let longestSeconds: Int64
    }

    private static let pairRule = Rule(failures: 10, longestSeconds: 3600)
    private static let nameRule = Rule(failures: 50, longestSeconds: 900)
    private static let firstPauseSeconds: Int64 = 30
    /// Failures this old are forgotten.
    private static let memoryMilliseconds: Int64 = 86_400_000
    /// Each row is some 60 bytes; names are the attacker's choice.
    private static let rowLimit = 100_000

    let database: Database

    /// Throws `account_locked` while the name, or the name from this address, is locked.
    func admit(_ attempt: LoginAttempt, at now: Date) async throws {
        let locked = try await database.pool.read { try Self.lockedUntil(attempt, $0) }
        try Self.refuse(locked, now)
    }

    /// Counts a wrong password. Of many tries at once only as many learn that theirs was wrong as the rules allow:
    /// the others, which were admitted before the lock, are told of the lock instead.
    func recordFailure(_ attempt: LoginAttempt, at now: Date) async throws {
        let locked = try await database.pool.write { connection in
            let locked = try Self.lockedUntil(attempt, connection)
            guard locked <= now.milliseconds else { return locked }
            try Self.count(attempt.pair, Self.pairRule, now.milliseconds, connection)
            try Self.count(attempt.nameAlone, Self.nameRule, now.milliseconds, connection)
            return 0
        }
        try Self.refuse(locked, now)
    }

    /// Forgets the failures from this address, which were the owner's own; those from elsewhere stay counted.
    func recordSuccess(_ attempt: LoginAttempt, at now: Date) async throws {
        let found = try await database.pool.read { connection in
            (try Self.lockedUntil(attempt, connection), try Self.failures(attempt.pair, connection))
        }
        try Self.refuse(found.0, now)
        guard found.1 > 0 else { return }
        try await database.pool.write { connection in
            let failures = try Self.failures(attempt.pair, connection)
            try connection.execute(sql: "DELETE FROM login_failures WHERE subject = ?", arguments: [attempt.pair])
            try connection.execute(
                sql: "UPDATE login_failures SET failures = max(0, failures - ?) WHERE subject = ?",
                arguments: [failures, attempt.nameAlone])
        }
    }

    /// Deletes what is old and, when there is too much, what weighs least.
    func sweep(nowMilliseconds now: Int64) async throws {
        try await database.pool.write { connection in
            try connection.execute(
                sql: "DELETE FROM login_failures WHERE last_ms < ?", arguments: [now - Self.memoryMilliseconds])
            let count = try Int.fetchOne(connection, sql: "SELECT count(*) FROM login_failures") ?? 0
            guard count > Self.rowLimit else { return }
            try connection.execute(
                sql: """
                    DELETE FROM login_failures WHERE subject IN
                        (SELECT subject FROM login_failures ORDER BY locked_until_ms, failures, last_ms LIMIT ?)
                    """, arguments: [count - Self.rowLimit])
        }
    }

    private static func refuse(_ lockedUntil: Int64, _ now: Date) throws(Problem) {
        let milliseconds = lockedUntil - now.milliseconds
        guard milliseconds > 0 else { return }
        throw .accountLocked(seconds: Int((milliseconds + 999) / 1000))
    }

    private static func lockedUntil(_ attempt: LoginAttempt, _ connection: GRDB.Database) throws -> Int64 {
        try Int64.fetchOne(
            connection, sql: "SELECT max(locked_until_ms) FROM login_failures WHERE subject IN (?, ?)",
            arguments: [attempt.pair, attempt.nameAlone]) ?? 0
    }

    private static func failures(_ subject: Data, _ connection: GRDB.Database) throws -> Int {
        try Int.fetchOne(
            connection, sql: "SELECT failures FROM login_failures WHERE subject = ?", arguments: [subject]) ?? 0
    }

    /// One failure more; from the rule's number on, each locks twice as long as the one before.
    private static func count(_ subject: Data, _ rule: Rule, _ now: Int64, _ connection: GRDB.Database) throws {
        let failures = try failures(subject, connection) + 1
        let doublings = failures - rule.failures
        let pauseSeconds = min(rule.longestSeconds, firstPauseSeconds << min(max(doublings, 0), 16))
        try connection.execute(
            sql: "INSERT OR REPLACE INTO login_failures VALUES (?, ?, ?, ?)",
            arguments: [subject, failures, now, doublings < 0 ? 0 : now + pauseSeconds * 1000])
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
