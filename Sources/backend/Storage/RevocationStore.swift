// What was revoked, in the order of its commits, and since when each user's tokens count.
import Foundation
import GRDB

struct RevocationStore: Sendable {
    /// Gateways and we let a token go 30 s after its `exp` unless they are told otherwise; an entry must outlive that.
    private static let leewaySeconds: Int64 = 60
    /// The longest time for which a gateway keeps what it was told about an API key.
    private static let apiKeyCacheSeconds: Int64 = 86_400

    let database: Database
    let issuer: String
    let accessTokenLifetime: Lifetime
    /// Whether sessions are in Redis: then what a change of the database ends is written down here for Redis.
    let isElsewhere: Bool

    /// Appends entries in the caller's transaction: they are seen together with what it changes, or not at all.
    func revoke(_ entries: [Revocation], in connection: GRDB.Database) throws {
        for entry in entries {
            if isElsewhere {
                try PendingEndings.append(.entry(entry), in: connection)
                continue
            }
            try connection.execute(
                sql: "INSERT INTO revocations (issuer, kind, value, until, before) VALUES (?, ?, ?, ?, ?)",
                arguments: [entry.issuer, entry.kind.rawValue, entry.value, entry.until, entry.before])
        }
    }

    /// The entries behind a cursor, oldest first. Cursors grow with the commits and are never given twice.
    func revocations(after cursor: Int64, limit: Int) async throws -> [(cursor: Int64, revocation: Revocation)] {
        try await database.pool.read { connection in
            try Row.fetchAll(
                connection, sql: "SELECT * FROM revocations WHERE cursor > ? ORDER BY cursor LIMIT ?",
                arguments: [cursor, limit]
            ).compactMap { row in
                guard let kind = Revocation.Kind(rawValue: row["kind"]) else { return nil }
                let revocation = Revocation(
                    issuer: row["issuer"], kind: kind, value: row["value"], until: row["until"], before: row["before"])
                return (row["cursor"], revocation)
            }
        }
    }

    /// The entry that ends every access token of a session, which may have been minted until this moment.
    func entry(session: String, nowMilliseconds now: Int64) -> Revocation {
        Revocation(issuer: issuer, kind: .session, value: session, until: latestExpiry(now))
    }

    /// The entry that ends one access token.
    func entry(tokenID: String, nowMilliseconds now: Int64) -> Revocation {
        Revocation(issuer: issuer, kind: .tokenID, value: tokenID, until: latestExpiry(now))
    }

    /// The entry that ends an API key. Later than that whoever asks is told that it is none.
    func entry(apiKey id: String, nowMilliseconds now: Int64) -> Revocation {
        Revocation(
            issuer: issuer, kind: .apiKey, value: id,
            until: max(latestExpiry(now), now / 1000 + Self.apiKeyCacheSeconds + Self.leewaySeconds))
    }

    /// Ends everything that the user has: sessions, and the access tokens minted before `valid_from`, which no clock
    /// but the store's decides. What is minted from now on carries a later `iat`.
    func endAll(of user: String, nowMilliseconds now: Int64, in connection: GRDB.Database) throws {
        if isElsewhere { return try PendingEndings.append(.sessions(of: user), in: connection) }
        let earliest = try Self.validFrom(of: user, connection) ?? 0
        if earliest > now / 1000 {
            // The second time in one second: tokens minted in between have an `iat` that still counts.
            let alive = try String.fetchAll(
                connection, sql: "SELECT id FROM sessions WHERE user = ? AND revoked_ms IS NULL", arguments: [user])
            try revoke(alive.map { entry(session: $0, nowMilliseconds: now) }, in: connection)
        }
        // Not earlier than before: a clock that was set back must not revive what is dead.
        try endTokens(of: user, mintedBefore: max(now / 1000 + 1, earliest), nowMilliseconds: now, in: connection)
        try connection.execute(
            sql: """
                UPDATE refresh_tokens SET successor = NULL
                WHERE successor IS NOT NULL
                  AND session IN (SELECT id FROM sessions WHERE user = ? AND revoked_ms IS NULL)
                """, arguments: [user])
        try connection.execute(
            sql: "UPDATE sessions SET revoked_ms = ? WHERE user = ? AND revoked_ms IS NULL", arguments: [now, user])
    }

    /// Ends the access tokens that the user holds; his sessions go on, and their next tokens carry a later `iat`.
    func endTokens(of user: String, nowMilliseconds now: Int64, in connection: GRDB.Database) throws {
        if isElsewhere { return try PendingEndings.append(.tokens(of: user), in: connection) }
        let earliest = try Self.validFrom(of: user, connection) ?? 0
        // Each time later than before: tokens minted since the last time, in the same second, are meant as well.
        try endTokens(of: user, mintedBefore: max(now / 1000, earliest) + 1, nowMilliseconds: now, in: connection)
    }

    private func endTokens(
        of user: String, mintedBefore validFrom: Int64, nowMilliseconds now: Int64, in connection: GRDB.Database
    ) throws {
        try connection.execute(
            sql: "INSERT OR REPLACE INTO valid_from (user, seconds) VALUES (?, ?)", arguments: [user, validFrom])
        try revoke(
            [
                Revocation(
                    issuer: issuer, kind: .subject, value: user, until: latestExpiry(max(now, validFrom * 1000)),
                    before: validFrom)
            ], in: connection)
    }

    /// Deletes the entries that nothing needs any more.
    func sweep(nowMilliseconds now: Int64) async throws {
        try await database.pool.write { connection in
            try connection.execute(sql: "DELETE FROM revocations WHERE until < ?", arguments: [now / 1000])
        }
    }

    /// The first second in which tokens of this user count.
    func validFrom(of user: String) async throws -> Int64? {
        try await database.pool.read { try Self.validFrom(of: user, $0) }
    }

    static func validFrom(of user: String, _ connection: GRDB.Database) throws -> Int64? {
        try connection.cachedValue("SELECT seconds FROM valid_from WHERE user = ?", [user])
    }

    private func latestExpiry(_ now: Int64) -> Int64 {
        now / 1000 + Self.longestSeconds(accessTokenLifetime: accessTokenLifetime)
    }

    /// How long an access token that is minted now may be taken for good.
    static func longestSeconds(accessTokenLifetime: Lifetime) -> Int64 {
        // A token may be issued up to one second later than it was granted.
        1 + Int64(accessTokenLifetime.seconds) + leewaySeconds
    }
}
