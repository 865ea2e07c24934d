// The guard before every protected route: verifies who asks and wants one permission of him.
import Foundation
import HTTPTypes
import Hummingbird

/// A request of the resource service; `principal` is there once a guard has let it pass.
struct ResourceCall: RequestContext {
    var coreContext: CoreRequestContextStorage
    var principal: Principal?

    init(source: Source) {
        coreContext = .init(source: source)
    }
}

struct RequirePermission: RouterMiddleware {
    let permission: String
    let verifier: TokenVerifier
    /// nil: requests need not have come through the gateway.
    let gateway: GatewayIdentity?

    func handle(
        _ request: Request, context: ResourceCall,
        next: (Request, ResourceCall) async throws -> Response
    ) async throws -> Response {
        let principal = try principal(of: request)
        guard principal.permissions.contains(permission) else { throw Problem.missing(permission: permission) }
        var context = context
        context.principal = principal
        return try await next(request, context)
    }

    /// Whom the access token names. The gateway's word alone is enough for who came without one, as with an API key,
    /// and beside a token it must be about the same subject.
    private func principal(of request: Request) throws -> Principal {
        let vouched = try gateway?.principal(of: request.headers)
        if let vouched, request.headers[.authorization] == nil { return vouched }
        let principal = try bearer(of: request)
        guard vouched == nil || vouched?.subject == principal.subject else { throw Problem.gatewayIdentityMismatched }
        return principal
    }

    private func bearer(of request: Request) throws -> Principal {
        let token = try Self.bearerToken(in: request.headers)
        do throws(TokenRefusal) {
            return try verifier.verify(token, now: .now)
        } catch {
            throw error.problem
        }
    }

    /// The token of the one Authorization field; the scheme's case does not matter (RFC 9110 §11.1).
    static func bearerToken(in fields: HTTPFields) throws -> String {
        let values = fields[values: .authorization]
        guard let value = values.first else { throw Problem.missingToken }
        let words = value.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
        guard values.count == 1, words.count == 2, words[0].lowercased() == "bearer" else {
            throw Problem.ambiguousToken
        }
        return String(words[1])
    }
}
