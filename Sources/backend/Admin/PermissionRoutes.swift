// The routes that administrate permissions, one by one or all roles at once as permissions.json has them.
import HTTPTypes
import Hummingbird

struct PermissionRoutes: Sendable {
    private struct Answer: Encodable {
        let name: String
        let roles: [String]
    }

    /// Many roles; more would not fit into the file either.
    private static let importLimitBytes = 1 << 20

    let access: AdminAccess
    let administration: AccountAdministration
    let accounts: AccountTable

    func add(to router: some RouterMethods<AuthCall>) {
        router.get("/permissions") { request, _ in
            _ = try await access.reader(of: request)
            let found = try await accounts.permissions()
            return try Response.json(["permissions": found.map { Answer(name: $0.name, roles: $0.roles) }])
        }
        router.get("/permissions/:permission") { request, call in
            _ = try await access.reader(of: request)
            return try await answer(about: call.segment("permission"))
        }
        router.post("/permissions") { request, call in try await create(request, call) }
        router.put("/permissions/:permission") { request, call in try await change(request, call) }
        router.delete("/permissions/:permission") { request, call in try await delete(request, call) }
        router.get("/permissions.json") { request, _ in try await export(request) }
        router.put("/permissions.json") { request, call in try await replace(request, call) }
    }

    private func create(_ request: Request, _ call: AuthCall) async throws -> Response {
        let caller = try await access.writer(of: request)
        var members = try MemberReader(try await request.jsonBody())
        let name = try members.word("name")
        let roles = try Self.roles(&members)
        try await administration.change(by: caller, needing: Accounts.administration) { accounts in
            guard accounts.roles(permitting: name).isEmpty else { throw Problem.permissionExists(name) }
            try accounts.grant(name, to: roles)
        }
        record(.permissionGranted, by: caller, name, roles, request, call)
        return try await answer(
            about: name, status: .created,
            fields: [.location: "/api/v1/admin/permissions/\(PathSegment.encoded(name))"])
    }

    private func change(_ request: Request, _ call: AuthCall) async throws -> Response {
        let caller = try await access.writer(of: request)
        let name = try call.segment("permission")
        var members = try MemberReader(try await request.jsonBody())
        let roles = try Self.roles(&members)
        try await administration.change(by: caller, needing: Accounts.administration) { accounts in
            guard !accounts.roles(permitting: name).isEmpty else { throw Problem.permissionNotFound }
            try accounts.grant(name, to: roles)
        }
        record(.permissionGranted, by: caller, name, roles, request, call)
        return try await answer(about: name)
    }

    private func delete(_ request: Request, _ call: AuthCall) async throws -> Response {
        let caller = try await access.writer(of: request)
        let name = try call.segment("permission")
        try await administration.change(by: caller, needing: Accounts.administration) { accounts in
            guard !accounts.roles(permitting: name).isEmpty else { throw Problem.permissionNotFound }
            try accounts.grant(name, to: [])
        }
        record(.permissionGranted, by: caller, name, [], request, call)
        return Response(status: .noContent)
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

    private func record(
        _ event: AuditEvent, by caller: Caller, _ permission: String, _ roles: [String], _ request: Request,
        _ call: AuthCall
    ) {
        let more = ["permission": permission, "roles": roles.joined(separator: " ")]
        access.record(event, by: caller, request, call, more)
    }

    private func answer(
        about name: String, status: HTTPResponse.Status = .ok, fields: HTTPFields = [:]
    ) async throws -> Response {
        guard let found = try await accounts.permissions(named: name).first else { throw Problem.permissionNotFound }
        return try Response.json(Answer(name: found.name, roles: found.roles), status: status, fields: fields)
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
