// Mints access tokens: short-lived JWTs that carry who the user is and what he may do (RFC 9068).
import Foundation

/// The claims of an access token (RFC 7519 §4.1, RFC 9068 §2.2, and ours: sid, name, email, role, roles, permissions).
struct AccessTokenClaims: Sendable {
    let issuer: String
    let audience: String
    let tokenID: String
    let session: Session
    let account: Account
    /// Seconds since 1970.
    let issuedAt: Int
    let expires: Int

    /// The payload of the token.
    var json: [UInt8] {
        let user = account.user
        var members = JSONWriter(capacity: 1024)
        members.member("iss", issuer)
        members.member("sub", user.name)
        members.member("aud", audience)
        members.member("exp", expires)
        members.member("nbf", issuedAt)
        members.member("iat", issuedAt)
        members.member("jti", tokenID)
        members.member("sid", session.id)
        members.member("client_id", session.clientID)
        members.member("name", user.displayName)
        members.member("email", ifPresent: user.email)
        // The first role, for readers that know only one.
        members.member("role", ifPresent: user.roles.first)
        members.member("roles", user.roles)
        members.member("permissions", account.permissions)
        return members.finish()
    }
}

struct TokenService: Sendable {
    let keys: KeyService
    let issuer: String
    let audience: String
    let lifetime: Lifetime

    /// Who is ended so often that he would wait longer than this gets a token that is ahead of the clock instead: a refresh
    /// that takes as long as the grace would be given up by its client, and the retry taken for a theft.
    private static let longestWait = Duration.seconds(5)
    /// A clock that is read cheaply, as a gateway's, goes in steps of up to so many milliseconds and is late by that.
    private static let clockStep: Int64 = 10

    /// Throws when no token could be signed now: asked before a password is checked or a refresh token is spent.
    func requireSigning() throws(Problem) { try keys.requireSigning() }

    /// A signed access token for the user of the grant, with the permissions that he had in it. Right after all tokens of a
    /// user were ended a new one must not look like one of them: it is issued in the next second, and that is waited for,
    /// because whoever allows no leeway refuses what is ahead of his clock.
    func accessToken(for grant: SessionGrant) async throws -> String {
        let now = grant.grantedMilliseconds - Self.clockStep
        let issuedAt = Int(max(now / 1000, grant.validFrom))
        let ahead = Duration.milliseconds(Int64(issuedAt) * 1000 - now)
        if ahead > .zero { try await Task.sleep(for: min(ahead, Self.longestWait)) }
        let claims = AccessTokenClaims(
            issuer: issuer, audience: audience, tokenID: UUID().uuidString.lowercased(), session: grant.session,
            account: grant.account, issuedAt: issuedAt, expires: issuedAt + lifetime.seconds)
        return try keys.sign(claims.json)
    }
}
