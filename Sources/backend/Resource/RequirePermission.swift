// The guard before every protected route: verifies the token and asks for one permission.
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

    private func principal(of request: Request) throws -> Principal {
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
