// Mints access tokens: short-lived JWTs that carry who the user is and what he may do (RFC 9068).
import Foundation
import JWTKit

/// The claims of an access token (RFC 7519 §4.1, RFC 9068 §2.2, and ours: sid, name, email, role, roles, permissions).
struct AccessTokenClaims: JWTPayload {
    let iss: String
    let sub: String
    let aud: String
    let exp: Int
    let nbf: Int
    let iat: Int
    let jti: String
    let sid: String
    let clientID: String
    let name: String
    let email: String?
    /// The first role, for readers that know only one.
    let role: String?
    let roles: [String]
    let permissions: [String]

    private enum CodingKeys: String, CodingKey {
        case iss, sub, aud, exp, nbf, iat, jti, sid
        case clientID = "client_id"
        case name, email, role, roles, permissions
    }

    /// Nothing to check here: only the resource service verifies, with its own code.
    func verify(using algorithm: some JWTAlgorithm) {}
}

struct TokenService: Sendable {
    let keys: KeyService
    let issuer: String
    let audience: String
    let lifetime: Lifetime

    /// Throws when no token could be signed now: asked before a password is checked or a refresh token is spent.
    func requireSigning() throws(Problem) { try keys.requireSigning() }

    /// A signed access token for the user of the grant, with the permissions that he had in it.
    func accessToken(for grant: SessionGrant) throws -> String {
        let user = grant.account.user
        // Right after all tokens of a user were ended, a new one must not look like one of them.
        let issuedAt = Int(max(grant.grantedMilliseconds / 1000, grant.validFrom))
        let claims = AccessTokenClaims(
            iss: issuer, sub: user.name, aud: audience, exp: issuedAt + lifetime.seconds, nbf: issuedAt, iat: issuedAt,
            jti: UUID().uuidString.lowercased(), sid: grant.session.id, clientID: grant.session.clientID,
            name: user.displayName, email: user.email, role: user.roles.first, roles: user.roles,
            permissions: grant.account.permissions)
        return try keys.sign(claims)
    }
}
