// The routes that users, roles and permissions have in common: each kind is listed, made, looked at, changed and deleted by name.
import HTTPTypes
import Hummingbird

/// What an administrator asks for, and how it stands in the audit log when it is done.
struct AccountChange: Sendable {
    struct Entry: Sendable {
        let event: AuditEvent
        /// The user whom it is about.
        var subject: String?
        var more: [String: String] = [:]
    }

    /// Of the user, the role or the permission.
    let name: String
    let entries: [Entry]
    let apply: @Sendable (inout Accounts) throws -> Void
}

/// One of these kinds.
protocol AccountRoutes: Sendable {
    associatedtype Answer: Encodable

    /// The last segment of its path, and the member of the list.
    static var kind: String { get }
    /// What whoever deletes one must be permitted.
    static var deleting: String { get }
    static func notFound(_ name: String) -> Problem

    var access: AdminAccess { get }
    var administration: AccountAdministration { get }

    /// All of them, or the one of this name, as they are now.
    func answers(named name: String?) async throws -> [Answer]
    func creation(_ body: JSONNode) async throws -> AccountChange
    func change(of name: String, _ body: JSONNode) async throws -> AccountChange
    func deletion(of name: String) -> AccountChange
}

extension AccountRoutes {
    static var deleting: String { Accounts.administration }

    func addAll(to router: some RouterMethods<AuthCall>) {
        let all = RouterPath("/\(Self.kind)")
        let one = RouterPath("/\(Self.kind)/:name")
        router.get(all) { request, _ in
            _ = try await access.reader(of: request)
            return try Response.json([Self.kind: try await answers(named: nil)])
        }
        router.get(one) { request, call in
            _ = try await access.reader(of: request)
            return try await answer(about: call.segment("name"))
        }
        router.post(all) { request, call in
            let caller = try await access.writer(of: request)
            let wanted = try await creation(try await request.jsonBody())
            try await make(wanted, for: caller, request, call)
            let place = "/api/v1/admin/\(Self.kind)/\(PathSegment.encoded(wanted.name))"
            return try await answer(about: wanted.name, status: .created, fields: [.location: place])
        }
        router.put(one) { request, call in
            let caller = try await access.writer(of: request)
            let name = try call.segment("name")
            try await make(try await change(of: name, try await request.jsonBody()), for: caller, request, call)
            return try await answer(about: name)
        }
        router.delete(one) { request, call in
            let caller = try await access.caller(of: request, having: Self.deleting)
            try await make(
                deletion(of: call.segment("name")), needing: Self.deleting, for: caller, request, call)
            return Response(status: .noContent)
        }
    }

    private func make(
        _ change: AccountChange, needing permission: String = Accounts.administration, for caller: Caller,
        _ request: Request, _ call: AuthCall
    ) async throws {
        try await administration.change(by: caller, needing: permission, change.apply)
        for entry in change.entries {
            access.record(entry.event, by: caller, subject: entry.subject, request, call, entry.more)
        }
    }

    private func answer(
        about name: String, status: HTTPResponse.Status = .ok, fields: HTTPFields = [:]
    ) async throws -> Response {
        guard let found = try await answers(named: name).first else { throw Self.notFound(name) }
        return try Response.json(found, status: status, fields: fields)
    }
}
