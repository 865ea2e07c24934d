// The routes that administrate roles.
import Hummingbird

/// A role as the administration answers it.
struct RoleAnswer: Encodable {
    let name: String
    let permissions: [String]
    let users: Int

    init(_ role: AccountTable.Role) {
        name = role.name
        permissions = role.permissions
        users = role.users
    }
}

struct RoleRoutes: AccountRoutes {
    static let kind = "roles"

    let access: AdminAccess
    let administration: AccountAdministration
    let accounts: AccountTable

    static func notFound(_ name: String) -> Problem { .roleNotFound(name) }

    func add(to router: some RouterMethods<AuthCall>) { addAll(to: router) }

    func answers(named name: String?) async throws -> [RoleAnswer] {
        try await accounts.roles(named: name).map { RoleAnswer($0) }
    }

    func creation(_ body: JSONNode) throws -> AccountChange {
        var members = try MemberReader(body)
        let role = PermissionsFile.Role(name: try members.word("name"), permissions: try members.words("permissions"))
        try members.finish()
        return AccountChange(name: role.name, entries: [Self.entry(.roleCreated, role.name, role.permissions)]) {
            try $0.add(role)
        }
    }

    func change(of name: String, _ body: JSONNode) throws -> AccountChange {
        var members = try MemberReader(body)
        let permissions = try members.words("permissions")
        try members.finish()
        return AccountChange(name: name, entries: [Self.entry(.roleChanged, name, permissions)]) {
            try $0.changeRole(name, permissions: permissions)
        }
    }

    func deletion(of name: String) -> AccountChange {
        let entry = AccountChange.Entry(event: .roleDeleted, more: ["role": name])
        return AccountChange(name: name, entries: [entry]) { try $0.removeRole(name) }
    }

    private static func entry(_ event: AuditEvent, _ role: String, _ permissions: [String]) -> AccountChange.Entry {
        AccountChange.Entry(event: event, more: ["role": role, "permissions": permissions.joined(separator: " ")])
    }
}
