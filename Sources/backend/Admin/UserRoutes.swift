// The routes that administrate users.
import Foundation
import HTTPTypes
import Hummingbird

struct UserRoutes: Sendable {
    private struct Answer: Encodable {
        let account: AccountTable.Account

        private enum CodingKeys: String, CodingKey {
            case name
            case displayName = "display_name"
            case email, disabled, roles, permissions, sessions
        }

        func encode(to encoder: any Encoder) throws {
            var members = encoder.container(keyedBy: CodingKeys.self)
            try members.encode(account.name, forKey: .name)
            try members.encode(account.displayName, forKey: .displayName)
            // null where there is none
            try members.encode(account.email, forKey: .email)
            try members.encode(account.disabled, forKey: .disabled)
            try members.encode(account.roles, forKey: .roles)
            try members.encode(account.permissions, forKey: .permissions)
            try members.encode(account.sessions, forKey: .sessions)
        }
    }

    let access: AdminAccess
    let administration: AccountAdministration
    let accounts: AccountTable
    let hasher: PasswordHasher

    func add(to router: some RouterMethods<AuthCall>) {
        router.get("/users") { request, _ in
            _ = try await access.reader(of: request)
            let users = try await accounts.accounts(nowMilliseconds: Date.now.milliseconds)
            return try Response.json(["users": users.map { Answer(account: $0) }])
        }
        router.get("/users/:name") { request, call in
            _ = try await access.reader(of: request)
            return try await answer(about: call.segment("name"))
        }
        router.post("/users") { request, call in try await create(request, call) }
        router.put("/users/:name") { request, call in try await change(request, call) }
        router.delete("/users/:name") { request, call in try await delete(request, call) }
    }

    private func create(_ request: Request, _ call: AuthCall) async throws -> Response {
        let caller = try await access.writer(of: request)
        let wanted = try UserRequest.creation(try await request.jsonBody())
        guard let name = wanted.name, let password = wanted.password else { throw Problem.userNotFound }
        let user = wanted.entry(named: name, passwordHash: try await hasher.hash(password))
        try await administration.change(by: caller, needing: Accounts.administration) { try $0.add(user) }
        access.record(.userCreated, by: caller, subject: name, request, call, wanted.summary)
        let fields: HTTPFields = [.location: "/api/v1/admin/users/\(PathSegment.encoded(name))"]
        return try await answer(about: name, status: .created, fields: fields)
    }

    private func change(_ request: Request, _ call: AuthCall) async throws -> Response {
        let caller = try await access.writer(of: request)
        let name = try call.segment("name")
        let wanted = try UserRequest.change(try await request.jsonBody())
        guard try await accounts.account(named: name, nowMilliseconds: 0) != nil else { throw Problem.userNotFound }
        let hash = if let password = wanted.password { try await hasher.hash(password) } else { String?.none }
        try await administration.change(by: caller, needing: Accounts.administration) { accounts in
            try accounts.changeUser(name) { wanted.apply(to: &$0, passwordHash: hash) }
        }
        if hash != nil { access.record(.passwordSet, by: caller, subject: name, request, call) }
        access.record(.userChanged, by: caller, subject: name, request, call, wanted.summary)
        return try await answer(about: name)
    }

    private func delete(_ request: Request, _ call: AuthCall) async throws -> Response {
        let caller = try await access.caller(of: request, having: "delete:users")
        let name = try call.segment("name")
        try await administration.change(by: caller, needing: "delete:users") { try $0.removeUser(name) }
        access.record(.userDeleted, by: caller, subject: name, request, call)
        return Response(status: .noContent)
    }

    private func answer(
        about name: String, status: HTTPResponse.Status = .ok, fields: HTTPFields = [:]
    ) async throws -> Response {
        guard let found = try await accounts.account(named: name, nowMilliseconds: Date.now.milliseconds) else {
            throw Problem.userNotFound
        }
        return try Response.json(Answer(account: found), status: status, fields: fields)
    }
}
