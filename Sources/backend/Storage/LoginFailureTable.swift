// Failed logins in the database: a row for each counter, with the moment until which it is locked.
import Foundation
import GRDB

struct LoginFailureTable: Sendable {
    let database: Database

    func lock(of counters: LoginCounters, nowMilliseconds now: Int64) async throws -> Int64 {
        try await database.pool.read { try Self.lockedUntil(counters, $0) } - now
    }

    func recordFailure(_ counters: LoginCounters, nowMilliseconds now: Int64) async throws -> Int64 {
        try await database.pool.write { connection in
            let locked = try Self.lockedUntil(counters, connection)
            guard locked <= now else { return locked - now }
            try Self.count(counters.pair, LoginCounters.pairRule, now, connection)
            try Self.count(counters.name, LoginCounters.nameRule, now, connection)
            return 0
        }
    }

    func recordSuccess(_ counters: LoginCounters, nowMilliseconds now: Int64) async throws -> Int64 {
        let found = try await database.pool.read { connection in
            (try Self.lockedUntil(counters, connection), try Self.failures(counters.pair, connection))
        }
        guard found.0 <= now, found.1 > 0 else { return found.0 - now }
        try await database.pool.write { connection in
            let failures = try Self.failures(counters.pair, connection)
            try connection.execute(sql: "DELETE FROM login_failures WHERE subject = ?", arguments: [counters.pair])
            try connection.execute(
                sql: "UPDATE login_failures SET failures = max(0, failures - ?) WHERE subject = ?",
                arguments: [failures, counters.name])
        }
        return 0
    }

    /// Deletes what is old and, when there is too much, what weighs least.
    func sweep(nowMilliseconds now: Int64) async throws {
        try await database.pool.write { connection in
            try connection.execute(
                sql: "DELETE FROM login_failures WHERE last_ms < ?",
                arguments: [now - LoginCounters.memoryMilliseconds])
            let count = try Int.fetchOne(connection, sql: "SELECT count(*) FROM login_failures") ?? 0
            guard count > LoginCounters.limit else { return }
            try connection.execute(
                sql: """
                    DELETE FROM login_failures WHERE subject IN
                        (SELECT subject FROM login_failures ORDER BY locked_until_ms, failures, last_ms LIMIT ?)
                    """, arguments: [count - LoginCounters.limit])
        }
    }

    private static func lockedUntil(_ counters: LoginCounters, _ connection: GRDB.Database) throws -> Int64 {
        try Int64.fetchOne(
            connection, sql: "SELECT max(locked_until_ms) FROM login_failures WHERE subject IN (?, ?)",
            arguments: [counters.pair, counters.name]) ?? 0
    }

    private static func failures(_ subject: Data, _ connection: GRDB.Database) throws -> Int {
        try Int.fetchOne(
            connection, sql: "SELECT failures FROM login_failures WHERE subject = ?", arguments: [subject]) ?? 0
    }

    /// One failure more; from the rule's number on, each locks twice as long as the one before.
    private static func count(
        _ subject: Data, _ rule: LoginCounters.Rule, _ now: Int64, _ connection: GRDB.Database
    ) throws {
        let failures = try failures(subject, connection) + 1
        let doublings = failures - rule.failures
        let pauseSeconds = min(
            rule.longestSeconds, LoginCounters.firstPauseSeconds << min(max(doublings, 0), 16))
        try connection.execute(
            sql: "INSERT OR REPLACE INTO login_failures VALUES (?, ?, ?, ?)",
            arguments: [subject, failures, now, doublings < 0 ? 0 : now + pauseSeconds * 1000])
    }
}
