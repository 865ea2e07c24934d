// Sessions and their chains of refresh tokens in SQLite; every rotation is one transaction.
import Foundation
import GRDB

/// One login: the family of refresh tokens that descend from it.
struct Session: Sendable {
    /// The `sid` of its access tokens.
    let id: String
    let user: String
    let clientID: String
}

/// What presenting a refresh token leads to.
enum Rotation: Sendable {
    /// The session goes on with this token: new, or the same again for a replay inside the grace.
    case continued(Session, next: RefreshToken)
    /// Nobody was given this token.
    case unknown
    case expired
    /// Its session was ended.
    case revoked
    /// It was spent longer ago than the grace: two parties hold it. Its session has just been ended.
    case reused(Session)
}

struct RefreshTokenStore: Sendable {
    let database: Database
    let lifetime: Lifetime
    let idle: Lifetime
    let grace: Lifetime

    /// Begins a session and returns its first token; both are on disk when this returns.
    func begin(user: String, clientID: String, nowMilliseconds now: Int64) async throws -> (Session, RefreshToken) {
        let session = Session(id: UUID().uuidString.lowercased(), user: user, clientID: clientID)
        let token = RefreshToken()
        try await database.pool.write { connection in
            try connection.execute(
                sql: "INSERT INTO sessions (id, user, client_id, created_ms, expires_ms) VALUES (?, ?, ?, ?, ?)",
                arguments: [session.id, user, clientID, now, now + lifetime.milliseconds])
            try insert(token, session: session.id, now: now, connection)
        }
        return (session, token)
    }

    /// Spends a token for its successor. The writer's transaction makes two that come at once take turns:
    /// the first rotates, the second is a replay inside the grace and gets the same successor.
    func rotate(_ token: RefreshToken, nowMilliseconds now: Int64) async throws -> Rotation {
        try await database.pool.write { connection in
            try forgetSuccessors(now: now, connection)
            guard let row = try Self.find(token, connection) else { return .unknown }
            let session = Session(id: row["session"], user: row["user"], clientID: row["client_id"])
            guard (row["revoked_ms"] as Int64?) == nil, !(row["disabled"] as Bool) else { return .revoked }
            guard now < (row["expires_ms"] as Int64) else { return .expired }
            if (row["spent_ms"] as Int64?) != nil {
                return try replay(token, sealed: row["successor"], of: session, now: now, connection)
            }
            guard now < (row["idle_expires_ms"] as Int64) else { return .expired }
            let next = RefreshToken()
            try insert(next, session: session.id, now: now, connection)
            try connection.execute(
                sql: "UPDATE refresh_tokens SET spent_ms = ?, successor = ? WHERE hash = ?",
                arguments: [now, try token.seal(successor: next), token.hash])
            return .continued(session, next: next)
        }
    }

    /// Deletes successors whose grace is over and sessions that have expired.
    func sweep(nowMilliseconds now: Int64) async throws {
        try await database.pool.write { connection in
            try forgetSuccessors(now: now, connection)
            // An expired session is kept for a day, so that its tokens are still told "expired" and not "unknown".
            try connection.execute(
                sql: "DELETE FROM sessions WHERE expires_ms < ?", arguments: [now - 86_400_000])
        }
    }

    private static func find(_ token: RefreshToken, _ connection: GRDB.Database) throws -> Row? {
        try Row.fetchOne(
            connection,
            sql: """
                SELECT token.session, token.idle_expires_ms, token.spent_ms, token.successor,
                       session.user, session.client_id, session.expires_ms, session.revoked_ms, user.disabled
                FROM refresh_tokens AS token
                JOIN sessions AS session ON session.id = token.session
                JOIN users AS user ON user.name = session.user
                WHERE token.hash = ?
                """, arguments: [token.hash])
    }

    /// A spent token: inside the grace its successor still lies here (two tabs, a lost answer); after it, someone
    /// else has a copy, and nobody can tell which of the two is the thief (RFC 9700 §4.14.2).
    private func replay(
        _ token: RefreshToken, sealed: Data?, of session: Session, now: Int64, _ connection: GRDB.Database
    ) throws -> Rotation {
        if let sealed { return .continued(session, next: try token.open(sealed)) }
        try connection.execute(
            sql: "UPDATE sessions SET revoked_ms = ? WHERE id = ?", arguments: [now, session.id])
        return .reused(session)
    }

    private func insert(
        _ token: RefreshToken, session: String, now: Int64, _ connection: GRDB.Database
    ) throws {
        try connection.execute(
            sql: "INSERT INTO refresh_tokens (hash, session, idle_expires_ms) VALUES (?, ?, ?)",
            arguments: [token.hash, session, now + idle.milliseconds])
    }

    private func forgetSuccessors(now: Int64, _ connection: GRDB.Database) throws {
        try connection.execute(
            sql: "UPDATE refresh_tokens SET successor = NULL WHERE successor IS NOT NULL AND spent_ms <= ?",
            arguments: [now - grace.milliseconds])
    }
}
