// The routes that administrate roles.
import HTTPTypes
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

struct RoleRoutes: Sendable {
    let access: AdminAccess
    let administration: AccountAdministration
    let accounts: AccountTable

    func add(to router: some RouterMethods<AuthCall>) {
        router.get("/roles") { request, _ in
            _ = try await access.reader(of: request)
            return try Response.json(["roles": try await accounts.roles().map { RoleAnswer($0) }])
        }
        router.get("/roles/:role") { request, call in
            _ = try await access.reader(of: request)
            return try await answer(about: call.segment("role"))
        }
        router.post("/roles") { request, call in try await create(request, call) }
        router.put("/roles/:role") { request, call in try await change(request, call) }
        router.delete("/roles/:role") { request, call in try await delete(request, call) }
    }

    private func create(_ request: Request, _ call: AuthCall) async throws -> Response {
        let caller = try await access.writer(of: request)
        var members = try MemberReader(try await request.jsonBody())
        let role = PermissionsFile.Role(name: try members.word("name"), permissions: try members.words("permissions"))
        try members.finish()
        try await administration.change(by: caller, needing: Accounts.administration) { try $0.add(role) }
        record(.roleCreated, by: caller, role.name, role.permissions, request, call)
        return try await answer(
            about: role.name, status: .created,
            fields: [.location: "/api/v1/admin/roles/\(PathSegment.encoded(role.name))"])
    }

    private func change(_ request: Request, _ call: AuthCall) async throws -> Response {
        let caller = try await access.writer(of: request)
        let name = try call.segment("role")
        var members = try MemberReader(try await request.jsonBody())
        let permissions = try members.words("permissions")
        try members.finish()
        try await administration.change(by: caller, needing: Accounts.administration) { accounts in
            try accounts.changeRole(name, permissions: permissions)
        }
        record(.roleChanged, by: caller, name, permissions, request, call)
        return try await answer(about: name)
    }

    private func delete(_ request: Request, _ call: AuthCall) async throws -> Response {
        let caller = try await access.writer(of: request)
        let name = try call.segment("role")
        try await administration.change(by: caller, needing: Accounts.administration) { try $0.removeRole(name) }
        access.record(.roleDeleted, by: caller, request, call, ["role": name])
        return Response(status: .noContent)
    }

    private func record(
        _ event: AuditEvent, by caller: Caller, _ role: String, _ permissions: [String], _ request: Request,
        _ call: AuthCall
    ) {
        let more = ["role": role, "permissions": permissions.joined(separator: " ")]
        access.record(event, by: caller, request, call, more)
    }

    private func answer(
        about name: String, status: HTTPResponse.Status = .ok, fields: HTTPFields = [:]
    ) async throws -> Response {
        guard let role = try await accounts.roles(named: name).first else { throw Problem.roleNotFound(name) }
        return try Response.json(RoleAnswer(role), status: status, fields: fields)
    }
}
