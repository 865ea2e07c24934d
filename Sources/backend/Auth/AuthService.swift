// Login and refresh, step by step as the sequence diagrams have them.
import Foundation
import HTTPTypes
import Logging

/// What both answer (RFC 6749 §5.1).
struct TokenAnswer: Sendable {
    let accessToken: String
    let expiresInSeconds: Int
    /// Nil where the browser gets it by cookie.
    var refreshToken: String?

    /// The body of the answer, spelled as was asked for.
    func json(_ names: AnswerNames) -> [UInt8] {
        var members = JSONWriter(capacity: 2048)
        switch names {
        case .standard:
            members.member("access_token", accessToken)
            members.member("expires_in", expiresInSeconds)
            members.member("refresh_token", ifPresent: refreshToken)
            members.member("token_type", "Bearer")
        case .camel:
            members.member("expiresIn", expiresInSeconds)
            members.member("refreshToken", ifPresent: refreshToken)
            members.member("token", accessToken)
            members.member("tokenType", "Bearer")
        }
        return members.finish()
    }
}

/// What `validate` answers.
enum TokenStatus: String, Sendable {
    case valid = "Valid"
    case invalid = "Invalid"
    case expired = "Expired"

    /// The body of the answer.
    var json: [UInt8] {
        var members = JSONWriter(capacity: 32)
        members.member("status", rawValue)
        return members.finish()
    }
}

struct AuthService: Sendable {
    let users: UserTable
    let hasher: PasswordHasher
    let tokens: TokenService
    let format: RefreshTokenFormat
    let sessions: any SessionStore
    let callers: CallerVerifier
    let clientID: String
    let audit: AuditLog

    /// Checks name and password, begins a session and returns its tokens; throws a `Problem`.
    func login(_ credentials: Credentials, logger: Logger) async throws -> TokenAnswer {
        try tokens.requireSigning()
        let user = try await users.user(named: credentials.name)
        // The hash is computed for unknown and disabled users too, and all get the same answer: no oracle for names.
        let matches = try await hasher.verify(credentials.password, against: user?.passwordHash)
        guard let user, matches, !user.disabled else {
            // A name that we do not know is not logged: people type passwords into the wrong field.
            logger.notice("login refused", metadata: user.map { ["sub": "\($0.name)"] } ?? [:])
            if let user, let pepper = hasher.missingPepper(of: user.passwordHash) {
                logger.error(
                    "a password was hashed with a pepper that is not there",
                    metadata: ["sub": "\(user.name)", "pepper": "\(pepper)"])
            }
            throw Problem.invalidCredentials
        }
        try await upgradeHash(of: user, credentials, logger)
        let grant = try await sessions.begin(
            user: user, clientID: clientID, nowMilliseconds: Date.now.milliseconds)
        guard let grant else { throw Problem.invalidCredentials }
        let answer = try await answer(grant)
        logger.info("login", metadata: ["sub": "\(user.name)", "sid": "\(grant.session.id)"])
        return answer
    }

    /// Spends a refresh token and returns its successor with a new access token; throws a `Problem`.
    func refresh(_ token: RefreshToken, logger: Logger) async throws -> TokenAnswer {
        // A token that is spent without an answer would end its session when it comes back.
        try tokens.requireSigning()
        switch try await sessions.rotate(token, nowMilliseconds: Date.now.milliseconds) {
        case .continued(let grant):
            let answer = try await answer(grant)
            logger.info("refresh", metadata: ["sub": "\(grant.session.user)", "sid": "\(grant.session.id)"])
            return answer
        case .unknown: throw Problem.refreshInvalid
        case .expired: throw Problem.refreshExpired
        case .revoked: throw Problem.refreshRevoked
        case .reused(let session):
            audit.record(.refreshReused, subject: session.user, ["sid": session.id])
            throw Problem.refreshReused
        }
    }

    /// Ends what the tokens of a request stand for. Beside a refresh token a bearer that has died is no reason to refuse.
    func logout(_ presented: PresentedTokens, everywhere: Bool) async throws {
        var isUserKnown = false
        if let bearer = presented.bearer {
            do {
                if everywhere {
                    try await logoutAll(accessToken: bearer)
                } else {
                    try await logout(accessToken: bearer)
                }
                isUserKnown = true
            } catch let problem as Problem where presented.refresh != nil && problem.status == .unauthorized {}
        }
        guard let refresh = presented.refresh else { return }
        if everywhere, !isUserKnown {
            try await logoutAll(refreshToken: refresh)
        } else {
            try await logout(refreshToken: refresh)
        }
    }

    /// Ends the session of a refresh token. One that we do not know, or whose session has ended, is as good as
    /// ended: there is nothing to tell a guesser (RFC 7009 §2.2).
    func logout(refreshToken presented: String) async throws {
        guard let token = try? format.token(presented: presented),
            let session = try await sessions.end(of: token, nowMilliseconds: Date.now.milliseconds)
        else { return }
        audit.record(.logout, subject: session.user, ["sid": session.id])
    }

    /// Ends the session of an access token, and the token.
    func logout(accessToken: String) async throws {
        let caller = try await callers.caller(bearing: accessToken)
        try await sessions.end(
            session: caller.session, tokenID: caller.principal.tokenID, nowMilliseconds: Date.now.milliseconds)
        audit.record(.logout, subject: caller.principal.subject, ["sid": caller.session])
    }

    /// Ends all sessions and tokens of the user whose live refresh token this is.
    func logoutAll(refreshToken presented: String) async throws {
        let now = Date.now.milliseconds
        let token = try format.token(presented: presented)
        guard let user = try await sessions.owner(of: token, nowMilliseconds: now) else { throw Problem.refreshInvalid }
        try await endAll(of: user)
    }

    /// Ends all sessions and tokens of the access token's user.
    func logoutAll(accessToken: String) async throws {
        try await endAll(of: try await callers.caller(bearing: accessToken).principal.subject)
    }

    private func endAll(of user: String) async throws {
        try await sessions.endAll(of: user, nowMilliseconds: Date.now.milliseconds)
        audit.record(.logoutAll, subject: user)
    }

    /// What a resource would say to this access token: `Valid`, `Expired`, or `Invalid` for everything else.
    func status(of accessToken: String) async throws -> TokenStatus {
        do {
            _ = try await callers.caller(bearing: accessToken)
            return .valid
        } catch let problem as Problem where problem.status == .unauthorized {
            let expired = [TokenRefusal.expired.rawValue, Problem.sessionExpired.code]
            return expired.contains(problem.code) ? .expired : .invalid
        }
    }

    /// The tokens of a grant. Roles and permissions are those of its moment: what was taken away since the login is gone
    /// from this token on, and what is taken away a moment later ends it.
    private func answer(_ grant: SessionGrant) async throws -> TokenAnswer {
        let accessToken = try await tokens.accessToken(for: grant)
        return TokenAnswer(
            accessToken: accessToken, expiresInSeconds: tokens.lifetime.seconds,
            refreshToken: try format.text(of: grant))
    }

    /// The only moment when the password is at hand to hash it with stronger parameters.
    private func upgradeHash(of user: User, _ credentials: Credentials, _ logger: Logger) async throws {
        guard hasher.isOutdated(user.passwordHash) else { return }
        let hash = try await hasher.hash(credentials.password)
        try await users.upgradePasswordHash(of: user.name, from: user.passwordHash, to: hash)
        logger.info("password hash upgraded", metadata: ["sub": "\(user.name)"])
    }
}
