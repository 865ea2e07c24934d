// The SQLite file: opened in WAL, every acknowledged commit on disk, its schema brought up to date by migrations.
import Foundation
import GRDB

struct Database: Sendable {
    let pool: DatabasePool
    private let commits: GroupCommit
    private let reads: GroupRead

    /// Opens the file, which is made when it is missing, and migrates it.
    init(path: String) throws(StartupFailure) {
        do {
            let folder = URL(fileURLWithPath: path).deletingLastPathComponent()
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            // Of backends that start at once one makes the tables, and the others find them.
            let lock = LockFile.open(path + "-lock")?.file
            defer { try? lock?.close() }
            if let lock { _ = LockFile.take(lock) }
            pool = try DatabasePool(path: path, configuration: Self.configuration)
            // A refresh token that we acknowledged must survive a power cut: NORMAL would lose the last commits.
            try pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
            try Self.migrator.migrate(pool)
            commits = GroupCommit(pool)
            reads = GroupRead(pool)
        } catch {
            throw StartupFailure("\(path): the database cannot be opened: \(error)")
        }
    }

    /// A short transaction of a kind that comes often; it is on disk when this returns, and may share its commit.
    func write<Answer: Sendable>(
        _ updates: @escaping @Sendable (GRDB.Database) throws -> Answer
    ) async throws -> Answer {
        try await commits.write(updates)
    }

    /// A short read of a kind that comes often; it may share its snapshot.
    func read<Answer: Sendable>(
        _ value: @escaping @Sendable (GRDB.Database) throws -> Answer
    ) async throws -> Answer {
        try await reads.read(value)
    }

    /// Whether the file answers.
    func ping() async throws {
        _ = try await pool.read { try Int.fetchOne($0, sql: "SELECT 1") }
    }

    /// Writes the journal back and closes the file.
    func close() throws {
        _ = try pool.writeWithoutTransaction { try $0.checkpoint(.truncate) }
        try pool.close()
    }

    private static var configuration: Configuration {
        var configuration = Configuration()
        configuration.foreignKeysEnabled = true
        // Longer than any transaction of ours, shorter than a client's patience.
        configuration.busyMode = .timeout(5)
        configuration.prepareDatabase { connection in
            // Deleted successors of refresh tokens are overwritten, not just unlinked.
            try connection.execute(sql: "PRAGMA secure_delete = ON")
        }
        return configuration
    }

    private static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("users, roles and sessions") { connection in
            try connection.execute(sql: schema)
        }
        migrator.registerMigration("failed logins") { connection in
            try connection.execute(
                sql: """
                    CREATE TABLE login_failures (
                        subject BLOB NOT NULL PRIMARY KEY,
                        failures INTEGER NOT NULL,
                        last_ms INTEGER NOT NULL,
                        locked_until_ms INTEGER NOT NULL
                    ) STRICT, WITHOUT ROWID;
                    CREATE INDEX login_failures_by_age ON login_failures (last_ms);
                    """)
        }
        migrator.registerMigration("clients and API keys") { connection in
            try connection.execute(sql: ClientTable.schema + APIKeyTable.schema)
        }
        migrator.registerMigration("revocations") { connection in
            try connection.execute(sql: revocationSchema)
        }
        migrator.registerMigration("removed users") { connection in
            // No longer in the file: the row stays for what refers to it, and nobody sees it.
            try connection.execute(sql: "ALTER TABLE users ADD COLUMN removed INTEGER NOT NULL DEFAULT 0")
        }
        migrator.registerMigration("sessions by creation") { connection in
            try connection.execute(sql: SessionDirectory.schema)
        }
        migrator.registerMigration("public keys of a vault") { connection in
            try connection.execute(sql: PublishedKeyTable.schema)
        }
        migrator.registerMigration("endings that wait for Redis") { connection in
            try connection.execute(sql: PendingEndings.schema)
        }
        migrator.registerMigration("feed of revocations") { connection in
            try connection.execute(sql: RevocationStore.feedSchema)
        }
        return migrator
    }

    /// Times are milliseconds since 1970; secrets are stored as hashes only.
    private static let schema = """
        CREATE TABLE users (
            name TEXT NOT NULL PRIMARY KEY,
            display_name TEXT NOT NULL,
            email TEXT,
            password_hash TEXT NOT NULL,
            -- The hash that the file held when it was last imported: a changed one there is a new password.
            imported_hash TEXT NOT NULL,
            disabled INTEGER NOT NULL DEFAULT 0
        ) STRICT;
        CREATE TABLE roles (name TEXT NOT NULL PRIMARY KEY) STRICT;
        CREATE TABLE role_permissions (
            role TEXT NOT NULL REFERENCES roles (name) ON DELETE CASCADE,
            permission TEXT NOT NULL,
            PRIMARY KEY (role, permission)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE user_roles (
            user TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
            position INTEGER NOT NULL,
            role TEXT NOT NULL REFERENCES roles (name) ON DELETE CASCADE,
            PRIMARY KEY (user, position)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE sessions (
            id TEXT NOT NULL PRIMARY KEY,
            user TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
            client_id TEXT NOT NULL,
            created_ms INTEGER NOT NULL,
            expires_ms INTEGER NOT NULL,
            revoked_ms INTEGER
        ) STRICT;
        CREATE INDEX sessions_by_user ON sessions (user);
        CREATE INDEX sessions_by_expiry ON sessions (expires_ms);
        CREATE TABLE refresh_tokens (
            hash BLOB NOT NULL PRIMARY KEY,
            session TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
            idle_expires_ms INTEGER NOT NULL,
            spent_ms INTEGER,
            -- The token that replaced it, encrypted under the spent one; gone after the grace.
            successor BLOB
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session);
        CREATE INDEX refresh_tokens_in_grace ON refresh_tokens (spent_ms) WHERE successor IS NOT NULL;
        """

    /// Seconds since 1970, as in tokens. AUTOINCREMENT: a cursor that was given must not come again after a deletion.
    private static let revocationSchema = """
        CREATE TABLE revocations (
            cursor INTEGER PRIMARY KEY AUTOINCREMENT,
            issuer TEXT NOT NULL,
            kind TEXT NOT NULL,
            value TEXT NOT NULL,
            until INTEGER NOT NULL,
            -- Only what was issued before it is dead.
            before INTEGER
        ) STRICT;
        CREATE INDEX revocations_by_value ON revocations (value, kind);
        CREATE INDEX revocations_by_expiry ON revocations (until);
        -- Outlives the user: one of the same name must not inherit the tokens of the one before.
        CREATE TABLE valid_from (user TEXT NOT NULL PRIMARY KEY, seconds INTEGER NOT NULL) STRICT;
        """
}
