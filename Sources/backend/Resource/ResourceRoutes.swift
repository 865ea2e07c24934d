// The routes of the resource service: what the gateway protects.
import Foundation
import HTTPTypes
import Hummingbird

struct ResourceRoutes: Sendable {
    /// Who asked, and what the gateway said about him: the fields that begin with X-Auth-.
    private struct ProtectedAnswer: Encodable {
        let message: String
        let subject: String
        let name: String?
        let roles: [String]
        let permissions: [String]
        let identityFields: [String: String]

        enum CodingKeys: String, CodingKey {
            case message, subject, name, roles, permissions
            case identityFields = "identity_headers"
        }
    }

    private struct StatisticsAnswer: Encodable {
        let subject: String
        let users: Int
        let sessions: Int
        let uptimeSeconds: Int

        enum CodingKeys: String, CodingKey {
            case subject, users, sessions
            case uptimeSeconds = "uptime_seconds"
        }
    }

    let verifier: TokenVerifier
    let gateway: GatewayIdentity?
    let users: UserTable
    let sessions: any SessionStore
    let started = ContinuousClock.now

    func add(to router: Router<ResourceCall>) {
        let readers = router.group().add(middleware: requirePermission("read:data"))
        for path: RouterPath in ["/api/protected/data", "/protected"] {
            readers.get(path) { request, context in try protectedData(request, context) }
        }
        let administrators = router.group().add(middleware: requirePermission("read:admin_panel"))
        for path: RouterPath in ["/api/admin/stats", "/admin", "/admin/stats"] {
            administrators.get(path) { _, context in try await statistics(context) }
        }
    }

    private func requirePermission(_ permission: String) -> RequirePermission {
        RequirePermission(permission: permission, verifier: verifier, gateway: gateway)
    }

    private func protectedData(_ request: Request, _ context: ResourceCall) throws -> Response {
        guard let principal = context.principal else { throw Problem.missingToken }
        let answer = ProtectedAnswer(
            message: "Hello \(principal.name ?? principal.subject), this is protected data.",
            subject: principal.subject, name: principal.name, roles: principal.roles,
            permissions: principal.permissions, identityFields: Self.identityFields(in: request.headers))
        return try Response.json(answer)
    }

    private func statistics(_ context: ResourceCall) async throws -> Response {
        guard let principal = context.principal else { throw Problem.missingToken }
        let answer = StatisticsAnswer(
            subject: principal.subject, users: try await users.count(),
            sessions: try await sessions.count(nowMilliseconds: Date.now.milliseconds),
            uptimeSeconds: Int((ContinuousClock.now - started).components.seconds))
        return try Response.json(answer)
    }

    private static func identityFields(in fields: HTTPFields) -> [String: String] {
        var identity: [String: String] = [:]
        for field in fields where field.name.canonicalName.hasPrefix("x-auth-") {
            identity[field.name.rawName] = fields[field.name]
        }
        return identity
    }
}
