// Role-based access control: what a set of roles permits, as it stands in the database now.
import GRDB

struct RBACService: Sendable {
    let database: Database

    /// The permissions of all these roles, sorted, each once.
    func permissions(of roles: [String]) async throws -> [String] {
        try await database.pool.read { connection in
            var permissions: Set<String> = []
            for role in roles {
                permissions.formUnion(
                    try String.fetchAll(
                        connection, sql: "SELECT permission FROM role_permissions WHERE role = ?", arguments: [role]))
            }
            return permissions.sorted()
        }
    }
}
