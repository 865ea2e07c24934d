// What stands behind a token: the session that it belongs to, and whether that still lives.
import Foundation
import GRDB

struct SessionTable: Sendable {
    let database: Database

    /// Whether an access token with these claims counts: its session was not ended, its user may log in, and neither
    /// was it revoked itself nor all that he held when it was minted.
    func standing(of principal: Principal, issuer: String, nowMilliseconds now: Int64) async throws -> Standing {
        try await database.read { connection in
            let expires: Int64? = try connection.cachedValue(
                """
                SELECT session.expires_ms FROM sessions AS session
                JOIN users AS user ON user.name = session.user
                LEFT JOIN valid_from ON valid_from.user = user.name
                WHERE session.id = ? AND session.user = ? AND session.revoked_ms IS NULL
                  AND NOT user.disabled AND ? >= coalesce(valid_from.seconds, 0)
                  AND NOT EXISTS (SELECT 1 FROM revocations WHERE kind = 'jti' AND value = ? AND issuer = ?)
                """,
                [principal.session, principal.subject, principal.issuedAt, principal.tokenID, issuer])
            guard let expires else { return .ended }
            return now < expires ? .alive : .expired
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

    /// How many are alive.
    func count(nowMilliseconds now: Int64) async throws -> Int {
        try await database.pool.read { connection in
            try Int.fetchOne(
                connection, sql: "SELECT count(*) FROM sessions WHERE revoked_ms IS NULL AND expires_ms > ?",
                arguments: [now]) ?? 0
        }
    }
}
