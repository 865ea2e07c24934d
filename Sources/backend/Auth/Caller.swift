// Who is signed in at the auth service itself: the bearer of an access token of ours whose session lives.
import Foundation
import HTTPTypes
import Hummingbird

struct Caller: Sendable {
    let principal: Principal
    let session: String
}

struct CallerVerifier: Sendable {
    let verifier: TokenVerifier
    let sessions: any SessionStore

    /// The sender of the request; throws a `Problem` when he is nobody.
    func caller(of request: Request) async throws -> Caller {
        try await caller(bearing: try RequirePermission.bearerToken(in: request.headers))
    }

    /// Checks the token as every resource does, and then what only we know: whether it was revoked.
    func caller(bearing token: String) async throws -> Caller {
        let principal: Principal
        do throws(TokenRefusal) {
            principal = try verifier.verify(token, now: .now)
        } catch {
            throw error.problem
        }
        guard let session = principal.session else { throw TokenRefusal.missingClaim.problem }
        let now = Date.now.milliseconds
        switch try await sessions.standing(of: principal, issuer: verifier.issuer, nowMilliseconds: now) {
        case .alive: return Caller(principal: principal, session: session)
        case .expired: throw Problem.sessionExpired
        case .ended: throw TokenRefusal.revoked.problem
        }
    }
}

extension Problem {
    /// The access token would live on, and has no more to do.
    static let sessionExpired = Problem(
        status: .unauthorized, code: "session_expired", detail: "the session has expired",
        challenge: "Bearer realm=\"api\", error=\"invalid_token\", error_description=\"The session has expired\"")
}
