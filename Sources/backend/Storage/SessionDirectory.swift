// The sessions that are alive, page by page, for the administration.
import GRDB

struct SessionDirectory: Sendable {
    struct Listed: Sendable {
        let session: Session
        let createdMilliseconds: Int64
        let refreshedMilliseconds: Int64?
        let expiresMilliseconds: Int64
    }

    /// Behind which session the next page begins.
    struct Cursor: Sendable {
        let createdMilliseconds: Int64
        let id: String

        init(after listed: Listed) {
            createdMilliseconds = listed.createdMilliseconds
            id = listed.session.id
        }

        /// As it was given out, `MILLISECONDS.ID`.
        init?(_ text: String) {
            let parts = text.split(separator: ".", maxSplits: 1)
            guard parts.count == 2, let milliseconds = Int64(parts[0]), parts[1].utf8.count <= 64 else { return nil }
            createdMilliseconds = milliseconds
            id = String(parts[1])
        }

        var text: String { "\(createdMilliseconds).\(id)" }
    }

    static let schema = "CREATE INDEX sessions_by_creation ON sessions (created_ms, id);"

    /// The condition that a session is neither ended nor expired and has a refresh token that could still be spent.
    static let isAlive = """
        session.revoked_ms IS NULL AND session.expires_ms > :now
            AND EXISTS (SELECT 1 FROM refresh_tokens AS token
                        WHERE token.session = session.id AND token.spent_ms IS NULL AND token.idle_expires_ms > :now)
        """

    private static let selection = """
        SELECT session.id, session.user, session.client_id, session.created_ms, session.expires_ms,
               (SELECT max(spent_ms) FROM refresh_tokens WHERE session = session.id) AS refreshed_ms
        FROM sessions AS session JOIN users AS user ON user.name = session.user
        WHERE NOT user.disabled AND \(isAlive)
        """

    let database: Database

    /// The newest sessions of everybody or of one user, older than the cursor.
    func page(
        of user: String?, before cursor: Cursor?, limit: Int, nowMilliseconds now: Int64
    ) async throws -> [Listed] {
        try await database.pool.read { connection in
            try Row.fetchAll(
                connection,
                sql: Self.selection + """
                     AND (:user IS NULL OR session.user = :user)
                     AND (:id IS NULL OR (session.created_ms, session.id) < (:created, :id))
                    ORDER BY session.created_ms DESC, session.id DESC LIMIT :limit
                    """,
                arguments: [
                    "now": now, "user": user, "created": cursor?.createdMilliseconds, "id": cursor?.id,
                    "limit": limit,
                ]
            ).map(Self.listed)
        }
    }

    func session(_ id: String, nowMilliseconds now: Int64) async throws -> Listed? {
        try await database.pool.read { connection in
            try Row.fetchOne(
                connection, sql: Self.selection + " AND session.id = :id", arguments: ["now": now, "id": id]
            ).map(Self.listed)
        }
    }

    /// How many sessions of each of these users are alive; users without one are absent.
    func counts(of users: [String], nowMilliseconds now: Int64) async throws -> [String: Int] {
        // Of one, or of all.
        let user = users.count == 1 ? users.first : nil
        return try await database.pool.read { connection in
            let rows = try Row.fetchAll(
                connection,
                sql: """
                    SELECT session.user, count(*) AS count FROM sessions AS session
                    WHERE (:user IS NULL OR session.user = :user) AND \(Self.isAlive) GROUP BY session.user
                    """, arguments: ["now": now, "user": user])
            return Dictionary(uniqueKeysWithValues: rows.map { ($0["user"] as String, $0["count"] as Int) })
        }
    }

    private static func listed(_ row: Row) -> Listed {
        Listed(
            session: Session(id: row["id"], user: row["user"], clientID: row["client_id"]),
            createdMilliseconds: row["created_ms"], refreshedMilliseconds: row["refreshed_ms"],
            expiresMilliseconds: row["expires_ms"])
    }
}
