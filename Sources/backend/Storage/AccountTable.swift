// What the administration sees of users and roles, as they are in effect now; never a hash.
import GRDB

struct AccountTable: Sendable {
    struct Account: Sendable {
        let name: String
        let displayName: String
        let email: String?
        let disabled: Bool
        /// In the user's own order.
        let roles: [String]
        let permissions: [String]
        /// How many sessions are alive.
        var sessions = 0
    }

    struct Role: Sendable {
        let name: String
        let permissions: [String]
        /// How many users have it.
        let users: Int
    }

    let database: Database
    let sessions: any SessionStore

    /// All users by name, or the one of this name.
    func accounts(named name: String? = nil, nowMilliseconds now: Int64) async throws -> [Account] {
        var accounts = try await accounts(named: name)
        let counts = try await sessions.counts(of: accounts.map(\.name), nowMilliseconds: now)
        for index in accounts.indices { accounts[index].sessions = counts[accounts[index].name] ?? 0 }
        return accounts
    }

    private func accounts(named name: String?) async throws -> [Account] {
        try await database.pool.read { connection in
            let permitted = try Self.pairs(
                connection, "SELECT role, permission FROM role_permissions ORDER BY permission", [:])
            let granted = try Self.pairs(
                connection,
                """
                SELECT user, role FROM user_roles WHERE :name IS NULL OR user = :name ORDER BY user, position
                """, ["name": name])
            return try Row.fetchAll(
                connection,
                sql: """
                    SELECT name, display_name, email, disabled
                    FROM users WHERE NOT removed AND (:name IS NULL OR name = :name) ORDER BY name
                    """, arguments: ["name": name]
            ).map { row in
                let roles = granted[row["name"]] ?? []
                return Account(
                    name: row["name"], displayName: row["display_name"], email: row["email"],
                    disabled: row["disabled"], roles: roles,
                    permissions: Set(roles.flatMap { permitted[$0] ?? [] }).sorted())
            }
        }
    }

    func account(named name: String, nowMilliseconds now: Int64) async throws -> Account? {
        try await accounts(named: name, nowMilliseconds: now).first
    }

    /// All roles by name, or the one of this name.
    func roles(named name: String? = nil) async throws -> [Role] {
        try await database.pool.read { connection in
            let permitted = try Self.pairs(
                connection, "SELECT role, permission FROM role_permissions ORDER BY permission", [:])
            return try Row.fetchAll(
                connection,
                sql: """
                    SELECT name, (SELECT count(*) FROM user_roles WHERE role = roles.name) AS users
                    FROM roles WHERE :name IS NULL OR name = :name ORDER BY name
                    """, arguments: ["name": name]
            ).map { Role(name: $0["name"], permissions: permitted[$0["name"]] ?? [], users: $0["users"]) }
        }
    }

    /// The roles that have each permission, or this one.
    func permissions(named name: String? = nil) async throws -> [(name: String, roles: [String])] {
        try await database.pool.read { connection in
            try Self.pairs(
                connection,
                """
                SELECT permission, role FROM role_permissions WHERE :name IS NULL OR permission = :name ORDER BY role
                """, ["name": name]
            ).sorted { $0.key < $1.key }.map { (name: $0.key, roles: $0.value) }
        }
    }

    /// The second column by the first, in the order of the query.
    private static func pairs(
        _ connection: GRDB.Database, _ sql: String, _ arguments: StatementArguments
    ) throws -> [String: [String]] {
        var pairs: [String: [String]] = [:]
        let rows = try Row.fetchCursor(connection, sql: sql, arguments: arguments)
        while let row = try rows.next() { pairs[row[0], default: []].append(row[1]) }
        return pairs
    }
}
