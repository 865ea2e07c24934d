// Who may administrate: a signed-in user whose token has the permission; and the audit of what he does.
import Hummingbird

struct AdminAccess: Sendable {
    let callers: CallerVerifier
    let client: ForwardedClient
    let audit: AuditLog

    /// The sender of the request, who has the permission; throws a `Problem`.
    func caller(of request: Request, having permission: String) async throws -> Caller {
        let caller = try await callers.caller(of: request)
        guard caller.principal.permissions.contains(permission) else { throw Problem.missing(permission: permission) }
        return caller
    }

    func reader(of request: Request) async throws -> Caller {
        try await caller(of: request, having: "read:admin_panel")
    }

    func writer(of request: Request) async throws -> Caller {
        try await caller(of: request, having: Accounts.administration)
    }

    /// One line and one count for a change that was made.
    func record(
        _ event: AuditEvent, by caller: Caller, subject: String? = nil, _ request: Request, _ call: AuthCall,
        _ more: [String: String] = [:]
    ) {
        audit.record(
            event, subject: subject, actor: caller.principal.subject,
            address: client.address(in: request.headers, peer: call.peerAddress), more)
    }
}

extension AuthCall {
    /// A segment of the path with its percent-encoding undone.
    func segment(_ name: String) throws -> String {
        guard let text = PathSegment.decoded(try parameters.require(name)) else { throw Problem.notFound }
        return text
    }
}
