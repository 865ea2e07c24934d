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
        guard try await sessions.isAlive(principal, issuer: verifier.issuer) else { throw TokenRefusal.revoked.problem }
        return Caller(principal: principal, session: session)
    }
}
