// The administration: users, roles, permissions, sessions and API keys under /api/v1/admin.
import Hummingbird

struct AdminRouter: Sendable {
    let access: AdminAccess
    let administration: AccountAdministration
    let database: Database
    let hasher: PasswordHasher
    let store: RefreshTokenStore

    func add(to router: some RouterMethods<AuthCall>) {
        let group = router.group("/api/v1/admin")
        let accounts = AccountTable(database: database)
        UserRoutes(access: access, administration: administration, accounts: accounts, hasher: hasher).add(to: group)
        RoleRoutes(access: access, administration: administration, accounts: accounts).add(to: group)
        PermissionRoutes(access: access, administration: administration, accounts: accounts).add(to: group)
        SessionRoutes(
            access: access, accounts: accounts, directory: SessionDirectory(database: database), store: store
        ).add(to: group)
        APIKeyRoutes(
            access: access, keys: APIKeyTable(database: database, revocations: store.revocations)
        ).add(to: group)
    }
}
