// The routes that administrate permissions, one by one or all roles at once as permissions.json has them.
import HTTPTypes
import Hummingbird

struct PermissionRoutes: AccountRoutes {
    struct Answer: Encodable {
        let name: String
        let roles: [String]
    }

    static let kind = "permissions"
    /// Many roles; more would not fit into the file either.
    private static let importLimitBytes = 1 << 20

    let access: AdminAccess
    let administration: AccountAdministration
    let accounts: AccountTable

    static func notFound(_ name: String) -> Problem { .permissionNotFound }

    func add(to router: some RouterMethods<AuthCall>) {
        addAll(to: router)
        router.get("/permissions.json") { request, _ in try await export(request) }
        router.put("/permissions.json") { request, call in try await replace(request, call) }
    }

    func answers(named name: String?) async throws -> [Answer] {
        try await accounts.permissions(named: name).map { Answer(name: $0.name, roles: $0.roles) }
    }

    func creation(_ body: JSONNode) throws -> AccountChange {
        var members = try MemberReader(body)
        let name = try members.word("name")
        let roles = try Self.roles(&members)
        return AccountChange(name: name, entries: [Self.entry(name, roles)]) { accounts in
            guard accounts.roles(permitting: name).isEmpty else { throw Problem.permissionExists(name) }
            try accounts.grant(name, to: roles)
        }
    }

    func change(of name: String, _ body: JSONNode) throws -> AccountChange {
        var members = try MemberReader(body)
        return Self.granting(name, to: try Self.roles(&members))
    }

    func deletion(of name: String) -> AccountChange { Self.granting(name, to: []) }

    /// A permission that there is, to these roles and no others.
    private static func granting(_ name: String, to roles: [String]) -> AccountChange {
        AccountChange(name: name, entries: [entry(name, roles)]) { accounts in
            guard !accounts.roles(permitting: name).isEmpty else { throw Problem.permissionNotFound }
            try accounts.grant(name, to: roles)
        }
    }

    private func export(_ request: Request) async throws -> Response {
        _ = try await access.reader(of: request)
        let roles = try await accounts.roles().map { ($0.name, $0.permissions) }
        let file = ["roles": Dictionary(uniqueKeysWithValues: roles)]
        return try Response.json(
            file, fields: [.contentDisposition: "attachment; filename=\"permissions.json\""])
    }

    private func replace(_ request: Request, _ call: AuthCall) async throws -> Response {
        let caller = try await access.writer(of: request)
        let roles = try PermissionsFile.roles(in: try await request.jsonBody(upTo: Self.importLimitBytes))
        try await administration.change(by: caller, needing: Accounts.administration) { try $0.replaceRoles(roles) }
        access.record(.permissionsImported, by: caller, request, call, ["roles": "\(roles.count)"])
        return try Response.json(["roles": try await accounts.roles().map { RoleAnswer($0) }])
    }

    /// One role at least: a permission that no role has does not exist.
    private static func roles(_ members: inout MemberReader) throws(JSONFault) -> [String] {
        let roles = try members.words("roles")
        try members.finish()
        guard !roles.isEmpty else { throw members.fault("\"roles\" must name a role", at: "roles") }
        return roles
    }

    private static func entry(_ permission: String, _ roles: [String]) -> AccountChange.Entry {
        AccountChange.Entry(
            event: .permissionGranted, more: ["permission": permission, "roles": roles.joined(separator: " ")])
    }
}

extension Problem {
    static let permissionNotFound = Problem(
        status: .notFound, code: "permission_not_found", detail: "no role has this permission")

    static func permissionExists(_ name: String) -> Problem {
        Problem(
            status: .conflict, code: "permission_exists", detail: "there are roles that have \"\(name)\" already",
            member: "name")
    }
}
