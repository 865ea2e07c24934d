// API keys in the database: by their hashes, with what they permit and when they were last used.
import Foundation
import GRDB

struct APIKeyTable: Sendable {
    let database: Database
    let revocations: RevocationStore

    /// Nobody needs more programs of his own; each key is one more that can be lost.
    static let limitForUser = 20
    /// Last use is written at most this often: a busy key must not cost a commit for each question.
    private static let usePrecisionMilliseconds: Int64 = 60_000

    static let schema = """
        CREATE TABLE api_keys (
            id TEXT NOT NULL PRIMARY KEY,
            user TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
            name TEXT NOT NULL,
            -- SHA-256 of the whole key.
            hash BLOB NOT NULL,
            created_ms INTEGER NOT NULL,
            expires_ms INTEGER,
            last_used_ms INTEGER,
            revoked_ms INTEGER
        ) STRICT;
        CREATE INDEX api_keys_by_user ON api_keys (user);
        CREATE TABLE api_key_permissions (
            key TEXT NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
            permission TEXT NOT NULL,
            PRIMARY KEY (key, permission)
        ) STRICT, WITHOUT ROWID;
        """

    /// Stores a new key; false when its owner has as many as he may have. Expired ones do not count.
    func insert(_ key: APIKey, hash: Data, nowMilliseconds now: Int64) async throws -> Bool {
        try await database.pool.write { connection in
            let count = try Int.fetchOne(
                connection,
                sql: """
                    SELECT count(*) FROM api_keys
                    WHERE user = ? AND revoked_ms IS NULL AND (expires_ms IS NULL OR expires_ms > ?)
                    """, arguments: [key.user, now])
            guard (count ?? 0) < Self.limitForUser else { return false }
            try connection.execute(
                sql: "INSERT INTO api_keys (id, user, name, hash, created_ms, expires_ms) VALUES (?, ?, ?, ?, ?, ?)",
                arguments: [key.id, key.user, key.name, hash, key.createdMilliseconds, key.expiresMilliseconds])
            for permission in key.permissions {
                try connection.execute(
                    sql: "INSERT INTO api_key_permissions VALUES (?, ?)", arguments: [key.id, permission])
            }
            return true
        }
    }

    /// The keys of a user, or of everybody, that were not revoked, oldest first.
    func keys(of user: String?) async throws -> [APIKey] {
        try await database.pool.read { connection in
            try Row.fetchAll(
                connection,
                sql: """
                    SELECT * FROM api_keys
                    WHERE (:user IS NULL OR user = :user) AND revoked_ms IS NULL ORDER BY created_ms, id
                    """, arguments: ["user": user]
            ).map { try Self.key($0, connection) }
        }
    }

    /// Whose key this is.
    func owner(of id: String) async throws -> String? {
        try await database.pool.read { connection in
            try String.fetchOne(connection, sql: "SELECT user FROM api_keys WHERE id = ?", arguments: [id])
        }
    }

    /// Revokes a key of this user; false when he has none of that id.
    func revoke(_ id: String, of user: String, nowMilliseconds now: Int64) async throws -> Bool {
        try await database.pool.write { connection in
            try connection.execute(
                sql: "UPDATE api_keys SET revoked_ms = ? WHERE id = ? AND user = ? AND revoked_ms IS NULL",
                arguments: [now, id, user])
            guard connection.changesCount > 0 else { return false }
            try revocations.revoke([revocations.entry(apiKey: id, nowMilliseconds: now)], in: connection)
            return true
        }
    }

    /// The live key with this id and hash, of an owner who may log in; notes that it was used.
    func use(_ id: String, hash: Data, nowMilliseconds now: Int64) async throws -> APIKey? {
        let found: APIKey? = try await database.pool.read { connection in
            let row = try Row.fetchOne(
                connection,
                sql: """
                    SELECT key.* FROM api_keys AS key JOIN users AS user ON user.name = key.user
                    WHERE key.id = ? AND key.hash = ? AND key.revoked_ms IS NULL AND NOT user.disabled
                      AND (key.expires_ms IS NULL OR key.expires_ms > ?)
                    """, arguments: [id, hash, now])
            return try row.map { try Self.key($0, connection) }
        }
        guard let found else { return nil }
        if now - (found.lastUsedMilliseconds ?? 0) >= Self.usePrecisionMilliseconds {
            try await database.pool.write { connection in
                try connection.execute(
                    sql: "UPDATE api_keys SET last_used_ms = ? WHERE id = ?", arguments: [now, id])
            }
        }
        return found
    }

    private static func key(_ row: Row, _ connection: GRDB.Database) throws -> APIKey {
        let id: String = row["id"]
        let permissions = try String.fetchAll(
            connection, sql: "SELECT permission FROM api_key_permissions WHERE key = ? ORDER BY permission",
            arguments: [id])
        return APIKey(
            id: id, user: row["user"], name: row["name"], permissions: permissions,
            createdMilliseconds: row["created_ms"], expiresMilliseconds: row["expires_ms"],
            lastUsedMilliseconds: row["last_used_ms"])
    }
}
