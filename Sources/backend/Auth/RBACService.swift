// Role-based access control: what a set of roles permits, as it stands in the database now.
import GRDB

struct RBACService: Sendable {
    let database: Database

    /// The permissions of all these roles, sorted, each once.
    func permissions(of roles: [String]) async throws -> [String] {
        try await database.read { try Self.permissions(of: roles, $0) }
    }

    static func permissions(of roles: [String], _ connection: GRDB.Database) throws -> [String] {
        var permissions: Set<String> = []
        for role in roles {
            permissions.formUnion(
                try connection.cachedTexts("SELECT permission FROM role_permissions WHERE role = ?", [role]))
        }
        return permissions.sorted()
    }
}
