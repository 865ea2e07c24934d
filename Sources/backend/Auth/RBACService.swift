// Role-based access control: what a set of roles permits, as it stands in the database now.
import GRDB

enum RBACService {
    /// The roles of a user in their order, and what they permit.
    static func grants(
        of user: String, _ connection: GRDB.Database
    ) throws -> (roles: [String], permissions: [String]) {
        var roles: [String] = []
        var permissions: Set<String> = []
        try connection.cachedRows(
            """
            SELECT user_roles.role, role_permissions.permission FROM user_roles
            LEFT JOIN role_permissions ON role_permissions.role = user_roles.role
            WHERE user_roles.user = ? ORDER BY user_roles.position
            """, [user]
        ) { row in
            let role: String = row[0]
            if roles.last != role { roles.append(role) }
            if let permission = row[1] as String? { permissions.insert(permission) }
        }
        return (roles, permissions.sorted())
    }

    /// The permissions of all these roles, sorted, each once.
    static func permissions(of roles: [String], _ connection: GRDB.Database) throws -> [String] {
        var permissions: Set<String> = []
        for role in roles {
            permissions.formUnion(
                try connection.cachedTexts("SELECT permission FROM role_permissions WHERE role = ?", [role]))
        }
        return permissions.sorted()
    }
}
