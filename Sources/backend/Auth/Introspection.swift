// What a token or an API key is good for, told to programs that may ask (RFC 7662).
import Foundation
import HTTPTypes

/// An answer; every member but `active` is absent for what is not good.
struct IntrospectionAnswer: Sendable, Encodable {
    var active = false
    var iss: String?
    var sub: String?
    var aud: String?
    var exp: Int64?
    var iat: Int64?
    var jti: String?
    var sid: String?
    var clientID: String?
    var tokenType: String?
    var name: String?
    var roles: [String]?
    var permissions: [String]?
    var apiKeyID: String?

    private enum CodingKeys: String, CodingKey {
        case active, iss, sub, aud, exp, iat, jti, sid
        case clientID = "client_id"
        case tokenType = "token_type"
        case name, roles, permissions
        case apiKeyID = "api_key_id"
    }
}

struct Introspection: Sendable {
    let callers: CallerVerifier
    let format: RefreshTokenFormat
    let sessions: any SessionStore
    let apiKeys: APIKeyService
    let issuer: String
    let audience: String

    /// The hint binds: a gateway that asks about a bearer token must not be told that a refresh token or an API key
    /// is good, or either would open what only access tokens may.
    func answer(about token: String, hint: String?) async throws -> IntrospectionAnswer {
        switch hint {
        case "api_key": return try await apiKey(token)
        case "refresh_token": return try await refreshToken(token)
        default: return try await accessToken(token)
        }
    }

    private func accessToken(_ token: String) async throws -> IntrospectionAnswer {
        let caller: Caller
        do {
            caller = try await callers.caller(bearing: token)
        } catch let problem as Problem where problem.status == .unauthorized {
            return IntrospectionAnswer()
        }
        let principal = caller.principal
        return IntrospectionAnswer(
            active: true, iss: issuer, sub: principal.subject, aud: audience, exp: principal.expires,
            iat: principal.issuedAt, jti: principal.tokenID, sid: caller.session, clientID: principal.clientID,
            tokenType: "Bearer", name: principal.name, roles: principal.roles, permissions: principal.permissions)
    }

    private func refreshToken(_ token: String) async throws -> IntrospectionAnswer {
        guard let presented = try? format.token(presented: token),
            let live = try await sessions.live(presented, nowMilliseconds: Date.now.milliseconds)
        else { return IntrospectionAnswer() }
        return IntrospectionAnswer(
            active: true, iss: issuer, sub: live.session.user, exp: live.expires, iat: live.issued,
            sid: live.session.id, clientID: live.session.clientID)
    }

    private func apiKey(_ text: String) async throws -> IntrospectionAnswer {
        guard let secret = APIKeySecret(presented: text), let found = try await apiKeys.use(secret) else {
            return IntrospectionAnswer()
        }
        return IntrospectionAnswer(
            active: true, iss: issuer, sub: found.key.user, exp: found.key.expiresMilliseconds.map { $0 / 1000 },
            iat: found.issued, permissions: found.permissions, apiKeyID: found.key.id)
    }
}
