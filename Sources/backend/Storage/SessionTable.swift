// What stands behind a token: the session that it belongs to, and whether that still lives.
import Foundation
import GRDB

struct SessionTable: Sendable {
    /// A refresh token that could be spent now.
    struct LiveToken: Sendable {
        let session: Session
        /// When it ends by itself, in seconds since 1970.
        let expires: Int64
        let issued: Int64
    }

    let database: Database

    /// Whether access tokens of this session count: it was not ended, and its user may log in.
    func isAlive(_ session: String, of user: String) async throws -> Bool {
        try await database.pool.read { connection in
            try Bool.fetchOne(
                connection,
                sql: """
                    SELECT EXISTS (
                        SELECT 1 FROM sessions AS session JOIN users AS user ON user.name = session.user
                        WHERE session.id = ? AND session.user = ? AND session.revoked_ms IS NULL AND NOT user.disabled)
                    """, arguments: [session, user]) ?? false
        }
    }

    /// The session of a token that we gave to somebody, spent or not, alive or ended.
    func session(of token: RefreshToken) async throws -> Session? {
        try await database.pool.read { connection in
            try Row.fetchOne(
                connection,
                sql: """
                    SELECT session.id, session.user, session.client_id
                    FROM refresh_tokens AS token JOIN sessions AS session ON session.id = token.session
                    WHERE token.hash = ?
                    """, arguments: [token.hash]
            ).map { Session(id: $0["id"], user: $0["user"], clientID: $0["client_id"]) }
        }
    }

    /// The token, if it could be spent at this moment.
    func live(_ token: RefreshToken, nowMilliseconds now: Int64) async throws -> LiveToken? {
        try await database.pool.read { connection in
            try Row.fetchOne(
                connection,
                sql: """
                    SELECT session.id, session.user, session.client_id, session.created_ms,
                           min(session.expires_ms, token.idle_expires_ms) AS expires_ms
                    FROM refresh_tokens AS token
                    JOIN sessions AS session ON session.id = token.session
                    JOIN users AS user ON user.name = session.user
                    WHERE token.hash = ? AND token.spent_ms IS NULL AND session.revoked_ms IS NULL AND NOT user.disabled
                      AND session.expires_ms > ? AND token.idle_expires_ms > ?
                    """, arguments: [token.hash, now, now]
            ).map { row in
                LiveToken(
                    session: Session(id: row["id"], user: row["user"], clientID: row["client_id"]),
                    expires: (row["expires_ms"] as Int64) / 1000, issued: (row["created_ms"] as Int64) / 1000)
            }
        }
    }

    /// Ends a session: its refresh tokens, and its access tokens wherever the session is asked about. The grace ends too.
    func end(_ session: String, nowMilliseconds now: Int64) async throws {
        try await database.pool.write { connection in
            try connection.execute(
                sql: "UPDATE sessions SET revoked_ms = ? WHERE id = ? AND revoked_ms IS NULL",
                arguments: [now, session])
            try connection.execute(
                sql: "UPDATE refresh_tokens SET successor = NULL WHERE session = ? AND successor IS NOT NULL",
                arguments: [session])
        }
    }
}
