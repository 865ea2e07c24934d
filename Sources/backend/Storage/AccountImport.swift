// Brings the users and roles of the files into the database, in one transaction.
import GRDB

struct AccountImport {
    let roles: PermissionsFile
    let users: SecretsFile

    /// What the files no longer name goes: such roles are deleted, such users disabled and logged out.
    func run(in database: Database, nowMilliseconds: Int64) throws(StartupFailure) {
        do {
            try database.pool.write { connection in
                try importRoles(connection)
                try ClientTable.replaceAll(users.clients, connection)
                for user in users.users { try importUser(user, connection, nowMilliseconds) }
                try retireUsers(connection, nowMilliseconds)
            }
        } catch {
            throw StartupFailure("the users and roles cannot be stored: \(error)")
        }
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

    private func importUser(_ user: SecretsFile.Entry, _ connection: GRDB.Database, _ now: Int64) throws {
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
            // Whoever was logged in knew the old password.
            try revokeSessions(of: user.name, connection, now)
        }
        try connection.execute(
            sql: "UPDATE users SET display_name = ?, email = ?, disabled = ? WHERE name = ?",
            arguments: [user.displayName, user.email, user.disabled, user.name])
        if user.disabled { try revokeSessions(of: user.name, connection, now) }
        for (position, role) in user.roles.enumerated() {
            try connection.execute(
                sql: "INSERT INTO user_roles VALUES (?, ?, ?)", arguments: [user.name, position, role])
        }
    }

    private func retireUsers(_ connection: GRDB.Database, _ now: Int64) throws {
        let named = Set(users.users.map(\.name))
        for name in try String.fetchAll(connection, sql: "SELECT name FROM users") where !named.contains(name) {
            try connection.execute(sql: "UPDATE users SET disabled = 1 WHERE name = ?", arguments: [name])
            try revokeSessions(of: name, connection, now)
        }
    }

    private func revokeSessions(of name: String, _ connection: GRDB.Database, _ now: Int64) throws {
        try connection.execute(
            sql: "UPDATE sessions SET revoked_ms = ? WHERE user = ? AND revoked_ms IS NULL", arguments: [now, name])
    }
}
