// Login and refresh, step by step as the sequence diagrams have them.
import Foundation
import Logging

/// What both answer (RFC 6749 §5.1).
struct TokenAnswer: Sendable, Encodable {
    let accessToken: String
    let tokenType = "Bearer"
    let expiresInSeconds: Int
    let refreshToken: String

    private enum CodingKeys: String, CodingKey {
        case accessToken = "access_token"
        case tokenType = "token_type"
        case expiresInSeconds = "expires_in"
        case refreshToken = "refresh_token"
    }
}

struct AuthService: Sendable {
    let users: UserTable
    let hasher: PasswordHasher
    let rbac: RBACService
    let tokens: TokenService
    let refreshTokens: RefreshTokenStore
    let clientID: String

    /// Checks name and password, begins a session and returns its tokens; throws a `Problem`.
    func login(_ credentials: Credentials, logger: Logger) async throws -> TokenAnswer {
        let user = try await users.user(named: credentials.name)
        // The hash is computed for unknown and disabled users too, and all get the same answer: no oracle for names.
        let matches = try await hasher.verify(credentials.password, against: user?.passwordHash)
        guard let user, matches, !user.disabled else {
            // A name that we do not know is not logged: people type passwords into the wrong field.
            logger.notice("login refused", metadata: user.map { ["sub": "\($0.name)"] } ?? [:])
            throw Problem.invalidCredentials
        }
        try await upgradeHash(of: user, credentials, logger)
        let now = Date.now
        let (session, refreshToken) = try await refreshTokens.begin(
            user: user.name, clientID: clientID, nowMilliseconds: now.milliseconds)
        logger.info("login", metadata: ["sub": "\(user.name)", "sid": "\(session.id)"])
        return try await answer(for: user, session: session, refreshToken: refreshToken, now: now)
    }

    /// Spends a refresh token and returns its successor with a new access token; throws a `Problem`.
    func refresh(_ presented: String, logger: Logger) async throws -> TokenAnswer {
        guard let token = RefreshToken(presented: presented) else { throw Problem.refreshInvalid }
        let now = Date.now
        switch try await refreshTokens.rotate(token, nowMilliseconds: now.milliseconds) {
        case .continued(let session, let next):
            // Roles are read anew: what was taken away since the login is gone from this token on.
            guard let user = try await users.user(named: session.user) else { throw Problem.refreshRevoked }
            logger.info("refresh", metadata: ["sub": "\(user.name)", "sid": "\(session.id)"])
            return try await answer(for: user, session: session, refreshToken: next, now: now)
        case .unknown: throw Problem.refreshInvalid
        case .expired: throw Problem.refreshExpired
        case .revoked: throw Problem.refreshRevoked
        case .reused(let session):
            logger.warning(
                "a spent refresh token came back: session revoked",
                metadata: ["sub": "\(session.user)", "sid": "\(session.id)"])
            throw Problem.refreshReused
        }
    }

    private func answer(
        for user: User, session: Session, refreshToken: RefreshToken, now: Date
    ) async throws -> TokenAnswer {
        let permissions = try await rbac.permissions(of: user.roles)
        let accessToken = try await tokens.accessToken(
            for: user, session: session, permissions: permissions, now: now)
        return TokenAnswer(
            accessToken: accessToken, expiresInSeconds: tokens.lifetime.seconds, refreshToken: refreshToken.text)
    }

    /// The only moment when the password is at hand to hash it with stronger parameters.
    private func upgradeHash(of user: User, _ credentials: Credentials, _ logger: Logger) async throws {
        guard hasher.isOutdated(user.passwordHash) else { return }
        let hash = try await hasher.hash(credentials.password)
        try await users.upgradePasswordHash(of: user.name, from: user.passwordHash, to: hash)
        logger.info("password hash upgraded", metadata: ["sub": "\(user.name)"])
    }
}
