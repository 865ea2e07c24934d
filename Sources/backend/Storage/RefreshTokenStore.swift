// Sessions and their chains of refresh tokens in SQLite; every rotation is one transaction.
import Foundation
import GRDB

/// One login: the family of refresh tokens that descend from it.
struct Session: Sendable {
    /// The `sid` of its access tokens.
    let id: String
    let user: String
    let clientID: String
}

/// What a login and a rotation hand out.
struct SessionGrant: Sendable {
    let session: Session
    let refreshToken: RefreshToken
    /// When it was made, which is before this for one that is given out again, and when it ends unless it is spent.
    let refreshIssuedMilliseconds: Int64
    let refreshExpiresMilliseconds: Int64
    /// By the clock of the store, which decides what is dead: the `iat` of an access token comes from it.
    let grantedMilliseconds: Int64
    /// The first second in which access tokens of this user count, as it stood in the transaction that granted this:
    /// what ends all of them a moment later ends the one that is minted for this grant, too.
    let validFrom: Int64
    /// Whose it is, as he stood in that transaction.
    let account: Account
}

/// What presenting a refresh token leads to.
enum Rotation: Sendable {
    /// The session goes on with this token: new, or the same again for a replay inside the grace.
    case continued(SessionGrant)
    /// Nobody was given this token.
    case unknown
    case expired
    /// Its session was ended.
    case revoked
    /// It was spent longer ago than the grace: two parties hold it. Its session has just been ended.
    case reused(Session)
}

struct RefreshTokenStore: Sendable {
    /// So many rows are written in some milliseconds.
    private static let sweepPortion = 500

    let database: Database
    let revocations: RevocationStore
    let lifetime: Lifetime
    let idle: Lifetime
    let grace: Lifetime

    /// Begins a session and returns its first token; both are on disk when this returns. Nil when the user was
    /// disabled, or given another password, since he was read.
    func begin(user: User, clientID: String, nowMilliseconds now: Int64) async throws -> SessionGrant? {
        let session = Session(id: UUID().uuidString.lowercased(), user: user.name, clientID: clientID)
        let token = RefreshToken()
        return try await database.write { connection in
            let unchanged = try Bool.fetchOne(
                connection,
                sql: "SELECT EXISTS (SELECT 1 FROM users WHERE name = ? AND NOT disabled AND imported_hash = ?)",
                arguments: [user.name, user.importedHash])
            guard unchanged == true else { return nil }
            try connection.execute(
                sql: "INSERT INTO sessions (id, user, client_id, created_ms, expires_ms) VALUES (?, ?, ?, ?, ?)",
                arguments: [session.id, session.user, clientID, now, now + lifetime.milliseconds])
            try insert(token, session: session.id, now: now, connection)
            guard let begun = try FoundToken(token, connection) else {
                throw DatabaseError(resultCode: .SQLITE_CONSTRAINT_FOREIGNKEY, message: "a session has no user")
            }
            return try grant(begun, token, now: now, connection)
        }
    }

    /// Spends a token for its successor. The writer's transaction makes two that come at once take turns:
    /// the first rotates, the second is a replay inside the grace and gets the same successor.
    func rotate(_ token: RefreshToken, nowMilliseconds now: Int64) async throws -> Rotation {
        // Before the writer is taken, so that nobody waits for arithmetic.
        let next = RefreshToken()
        let sealed = try token.seal(successor: next)
        return try await database.write { connection in
            guard let found = try FoundToken(token, connection) else { return .unknown }
            guard !found.isRevoked, !found.isDisabled else { return .revoked }
            guard now < found.sessionExpires else { return .expired }
            if let spent = found.spent {
                let isInGrace = now < spent + grace.milliseconds
                return try replay(token, found, sealed: isInGrace ? found.successor : nil, now: now, connection)
            }
            guard now < found.idleExpires else { return .expired }
            try insert(next, session: found.session.id, now: now, connection)
            try connection.executeCached(
                "UPDATE refresh_tokens SET spent_ms = ?, successor = ? WHERE hash = ?", [now, sealed, token.hash])
            return .continued(try grant(found, next, now: now, connection))
        }
    }

    /// Ends the session that this token belongs to, spent or not; nil for a token that nobody was given.
    func end(of token: RefreshToken, nowMilliseconds now: Int64) async throws -> Session? {
        try await database.pool.write { connection in
            guard let session = try FoundToken(token, connection)?.session else { return nil }
            try end(session.id, now: now, connection)
            return session
        }
    }

    /// Ends a session by its `sid`, and the access token that asked for it.
    func end(session: String, tokenID: String?, nowMilliseconds now: Int64) async throws {
        try await database.pool.write { connection in
            try end(session, now: now, connection)
            guard let tokenID else { return }
            try revocations.revoke([revocations.entry(tokenID: tokenID, nowMilliseconds: now)], in: connection)
        }
    }

    /// Ends every session of the user and every token that he holds.
    func endAll(of user: String, nowMilliseconds now: Int64) async throws {
        try await database.pool.write { connection in
            try revocations.endAll(of: user, nowMilliseconds: now, in: connection)
        }
    }

    /// The user of a token whose session is alive.
    func owner(of token: RefreshToken, nowMilliseconds now: Int64) async throws -> String? {
        try await database.pool.read { connection in
            guard let found = try FoundToken(token, connection), !found.isRevoked, now < found.sessionExpires
            else { return nil }
            return found.session.user
        }
    }

    /// Deletes successors whose grace is over and sessions that have expired.
    func sweep(nowMilliseconds now: Int64) async throws {
        // In portions: a rotation must not wait for what thousands have left behind.
        while try await forgetSuccessors(now: now) {}
        try await database.pool.write { connection in
            // An expired session is kept for a day, so that its tokens are still told "expired" and not "unknown".
            try connection.execute(
                sql: "DELETE FROM sessions WHERE expires_ms < ?", arguments: [now - 86_400_000])
        }
        try await revocations.sweep(nowMilliseconds: now)
    }

    /// A spent token: inside the grace its successor still lies here (two tabs, a lost answer); after it, someone
    /// else has a copy, and nobody can tell which of the two is the thief (RFC 9700 §4.14.2).
    private func replay(
        _ token: RefreshToken, _ found: FoundToken, sealed: Data?, now: Int64, _ connection: GRDB.Database
    ) throws -> Rotation {
        if let sealed { return .continued(try grant(found, try token.open(sealed), now: now, connection)) }
        try end(found.session.id, now: now, connection)
        return .reused(found.session)
    }

    /// The family is dead here and its access tokens at every gateway, in one commit. The grace ends too.
    private func end(_ session: String, now: Int64, _ connection: GRDB.Database) throws {
        try connection.execute(
            sql: "UPDATE sessions SET revoked_ms = ? WHERE id = ? AND revoked_ms IS NULL", arguments: [now, session])
        // Whoever ends it again and again must not fill the feed.
        guard connection.changesCount > 0 else { return }
        try connection.execute(
            sql: "UPDATE refresh_tokens SET successor = NULL WHERE session = ? AND successor IS NOT NULL",
            arguments: [session])
        try revocations.revoke([revocations.entry(session: session, nowMilliseconds: now)], in: connection)
    }

    private func grant(
        _ found: FoundToken, _ token: RefreshToken, now: Int64, _ connection: GRDB.Database
    ) throws -> SessionGrant {
        // The successor of a spent token was made as that was spent.
        let issued = found.spent ?? now
        return SessionGrant(
            session: found.session, refreshToken: token, refreshIssuedMilliseconds: issued,
            refreshExpiresMilliseconds: min(found.sessionExpires, issued + idle.milliseconds), grantedMilliseconds: now,
            validFrom: found.validFrom, account: try found.account(connection))
    }

    private func insert(
        _ token: RefreshToken, session: String, now: Int64, _ connection: GRDB.Database
    ) throws {
        try connection.executeCached(
            "INSERT INTO refresh_tokens (hash, session, idle_expires_ms) VALUES (?, ?, ?)",
            [token.hash, session, now + idle.milliseconds])
    }

    /// Deletes successors whose grace is over, until a portion was less than a whole one.
    private func forgetSuccessors(now: Int64) async throws -> Bool {
        let over = now - grace.milliseconds
        return try await database.pool.write { connection in
            try connection.execute(
                sql: """
                    UPDATE refresh_tokens SET successor = NULL WHERE hash IN
                        (SELECT hash FROM refresh_tokens WHERE successor IS NOT NULL AND spent_ms <= ? LIMIT ?)
                    """, arguments: [over, Self.sweepPortion])
            return connection.changesCount == Self.sweepPortion
        }
    }
}
