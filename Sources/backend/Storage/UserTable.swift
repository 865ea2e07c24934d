// Users and their roles in the database.
import GRDB

/// A user as the auth service knows him.
struct User: Sendable {
    /// The login name; also the `sub` of his tokens.
    let name: String
    let displayName: String
    let email: String?
    let passwordHash: String
    /// The hash that the file gave him: it changes with the password, and not when the same is hashed anew.
    let importedHash: String
    let disabled: Bool
    var roles: [String]
}

/// A user with what his roles permit him, read at one moment.
struct Account: Sendable {
    let user: User
    let permissions: [String]
}

struct UserTable: Sendable {
    let database: Database

    /// The user of this exact name.
    func user(named name: String) async throws -> User? {
        try await database.read { try Self.user(named: name, $0) }
    }

    /// The user of this exact name with what he may do now, both of one moment.
    func account(named name: String) async throws -> Account? {
        try await database.read { connection in
            try Self.user(named: name, connection).map { user in
                Account(user: user, permissions: try RBACService.permissions(of: user.roles, connection))
            }
        }
    }

    static func user(named name: String, _ connection: GRDB.Database) throws -> User? {
        guard let row = try connection.cachedRow("SELECT * FROM users WHERE name = ?", [name]) else { return nil }
        let roles = try connection.cachedTexts("SELECT role FROM user_roles WHERE user = ? ORDER BY position", [name])
        return User(
            name: row["name"], displayName: row["display_name"], email: row["email"],
            passwordHash: row["password_hash"], importedHash: row["imported_hash"],
            disabled: row["disabled"], roles: roles)
    }

    /// Replaces a password hash by one of the same password, unless it was changed meanwhile.
    func upgradePasswordHash(of name: String, from old: String, to new: String) async throws {
        try await database.pool.write { connection in
            try connection.execute(
                sql: "UPDATE users SET password_hash = ? WHERE name = ? AND password_hash = ?",
                arguments: [new, name, old])
        }
    }

    /// How many users may log in.
    func count() async throws -> Int {
        try await database.pool.read { connection in
            try Int.fetchOne(connection, sql: "SELECT count(*) FROM users WHERE disabled = 0") ?? 0
        }
    }
}
