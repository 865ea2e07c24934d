// Brings the users and roles of the files into the database, in one transaction.
import GRDB

struct AccountImport {
    let roles: PermissionsFile
    let users: SecretsFile

    /// What a user could do before, or can do afterwards.
    private struct Standing: Equatable {
        let importedHash: String
        let disabled: Bool
        let roles: [String]
        let permissions: Set<String>
    }

    /// What the files no longer name goes: such roles are deleted, such users disabled. Whoever is disabled or got
    /// another password is logged out; of those whose roles or permissions changed the access tokens end, so that
    /// the change is felt at once and not when they expire.
    func run(
        in database: Database, revocations: RevocationStore, nowMilliseconds now: Int64
    ) throws(StartupFailure) {
        do {
            try database.pool.write { connection in
                let before = try standings(connection)
                try importRoles(connection)
                try ClientTable.replaceAll(users.clients, connection)
                for user in users.users { try importUser(user, connection) }
                try retireUsers(connection, now)
                let after = try standings(connection)
                for (name, old) in before {
                    guard let new = after[name], new != old else { continue }
                    if new.importedHash != old.importedHash || (new.disabled && !old.disabled) {
                        // Whoever was logged in knew the old password.
                        try revocations.endAll(of: name, nowMilliseconds: now, in: connection)
                    } else if !new.disabled {
                        try revocations.endTokens(of: name, nowMilliseconds: now, in: connection)
                    }
                }
            }
        } catch {
            throw StartupFailure("the users and roles cannot be stored: \(error)")
        }
    }

    private func standings(_ connection: GRDB.Database) throws -> [String: Standing] {
        var standings: [String: Standing] = [:]
        for row in try Row.fetchAll(connection, sql: "SELECT name, imported_hash, disabled FROM users") {
            let name: String = row["name"]
            let roles = try String.fetchAll(
                connection, sql: "SELECT role FROM user_roles WHERE user = ? ORDER BY position", arguments: [name])
            let permissions = try String.fetchSet(
                connection,
                sql: """
                    SELECT permission FROM user_roles JOIN role_permissions ON role_permissions.role = user_roles.role
                    WHERE user = ?
                    """, arguments: [name])
            standings[name] = Standing(
                importedHash: row["imported_hash"], disabled: row["disabled"], roles: roles, permissions: permissions)
        }
        return standings
    }

    private func importRoles(_ connection: GRDB.Database) throws {
        try connection.execute(sql: "DELETE FROM user_roles; DELETE FROM role_permissions; DELETE FROM roles")
        for role in roles.roles {
            try connection.execute(sql: "INSERT INTO roles VALUES (?)", arguments: [role.name])
            for permission in role.permissions {
                try connection.execute(
                    sql: "INSERT INTO role_permissions VALUES (?, ?)", arguments: [role.name, permission])
            }
        }
    }

    private func importUser(_ user: SecretsFile.Entry, _ connection: GRDB.Database) throws {
        let imported = try String.fetchOne(
            connection, sql: "SELECT imported_hash FROM users WHERE name = ?", arguments: [user.name])
        if imported == nil {
            try connection.execute(
                sql: """
                    INSERT INTO users (name, display_name, password_hash, imported_hash) VALUES (?1, ?1, ?2, ?2)
                    """, arguments: [user.name, user.passwordHash])
        } else if imported != user.passwordHash {
            try connection.execute(
                sql: "UPDATE users SET password_hash = ?2, imported_hash = ?2 WHERE name = ?1",
                arguments: [user.name, user.passwordHash])
        }
        try connection.execute(
            sql: "UPDATE users SET display_name = ?, email = ?, disabled = ?, removed = 0 WHERE name = ?",
            arguments: [user.displayName, user.email, user.disabled, user.name])
        for (position, role) in user.roles.enumerated() {
            try connection.execute(
                sql: "INSERT INTO user_roles VALUES (?, ?, ?)", arguments: [user.name, position, role])
        }
    }

    private func retireUsers(_ connection: GRDB.Database, _ now: Int64) throws {
        let named = Set(users.users.map(\.name))
        for name in try String.fetchAll(connection, sql: "SELECT name FROM users WHERE NOT removed")
        where !named.contains(name) {
            try connection.execute(
                sql: "UPDATE users SET disabled = 1, removed = 1 WHERE name = ?", arguments: [name])
            // Another user of this name, later, must not inherit them.
            try connection.execute(
                sql: "UPDATE api_keys SET revoked_ms = ? WHERE user = ? AND revoked_ms IS NULL",
                arguments: [now, name])
        }
    }
}
