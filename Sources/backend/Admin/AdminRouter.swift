// The administration: users, roles, permissions, sessions and API keys under /api/v1/admin.
import Hummingbird

struct AdminRouter: Sendable {
    let access: AdminAccess
    let administration: AccountAdministration
    let revocations: RevocationStore
    let hasher: PasswordHasher
    let store: any SessionStore

    func add(to router: some RouterMethods<AuthCall>) {
        let group = router.group("/api/v1/admin")
        let accounts = AccountTable(database: revocations.database, sessions: store)
        UserRoutes(access: access, administration: administration, accounts: accounts, hasher: hasher).add(to: group)
        RoleRoutes(access: access, administration: administration, accounts: accounts).add(to: group)
        PermissionRoutes(access: access, administration: administration, accounts: accounts).add(to: group)
        SessionRoutes(
            access: access, accounts: accounts, store: store
        ).add(to: group)
        APIKeyRoutes(
            access: access, keys: APIKeyTable(database: revocations.database, revocations: revocations), store: store
        ).add(to: group)
    }
}
