// The store of one backend by itself: everything in its database.
import GRDB

struct DatabaseSessionStore: SessionStore {
    let tokens: RefreshTokenStore
    let sessions: SessionTable
    let directory: SessionDirectory
    let failures: LoginFailureTable

    init(tokens: RefreshTokenStore) {
        self.tokens = tokens
        sessions = SessionTable(database: tokens.database)
        directory = SessionDirectory(database: tokens.database)
        failures = LoginFailureTable(database: tokens.database)
    }

    func begin(user: User, clientID: String, nowMilliseconds now: Int64) async throws -> SessionGrant? {
        try await tokens.begin(user: user, clientID: clientID, nowMilliseconds: now)
    }

    func rotate(_ token: RefreshToken, nowMilliseconds now: Int64) async throws -> Rotation {
        try await tokens.rotate(token, nowMilliseconds: now)
    }

    func end(of token: RefreshToken, nowMilliseconds now: Int64) async throws -> Session? {
        try await tokens.end(of: token, nowMilliseconds: now)
    }

    func end(session: String, tokenID: String?, nowMilliseconds now: Int64) async throws {
        try await tokens.end(session: session, tokenID: tokenID, nowMilliseconds: now)
    }

    func endAll(of user: String, nowMilliseconds now: Int64) async throws {
        try await tokens.endAll(of: user, nowMilliseconds: now)
    }

    /// Nothing is left: it ended in the transaction of the change.
    func settle() async throws {}

    func owner(of token: RefreshToken, nowMilliseconds now: Int64) async throws -> String? {
        try await tokens.owner(of: token, nowMilliseconds: now)
    }

    func standing(of principal: Principal, issuer: String, nowMilliseconds now: Int64) async throws -> Standing {
        try await sessions.standing(of: principal, issuer: issuer, nowMilliseconds: now)
    }

    func session(of token: RefreshToken) async throws -> Session? {
        try await sessions.session(of: token)
    }

    func live(_ token: RefreshToken, nowMilliseconds now: Int64) async throws -> LiveToken? {
        try await sessions.live(token, nowMilliseconds: now)
    }

    func validFrom(of user: String) async throws -> Int64? {
        try await tokens.database.pool.read { try RevocationStore.validFrom(of: user, $0) }
    }

    func count(nowMilliseconds now: Int64) async throws -> Int {
        try await sessions.count(nowMilliseconds: now)
    }

    func counts(of users: [String], nowMilliseconds now: Int64) async throws -> [String: Int] {
        try await directory.counts(of: users, nowMilliseconds: now)
    }

    func page(
        of user: String?, before cursor: SessionDirectory.Cursor?, limit: Int, nowMilliseconds now: Int64
    ) async throws -> [SessionDirectory.Listed] {
        try await directory.page(of: user, before: cursor, limit: limit, nowMilliseconds: now)
    }

    func alive(_ session: String, nowMilliseconds now: Int64) async throws -> SessionDirectory.Listed? {
        try await directory.session(session, nowMilliseconds: now)
    }

    func revocations(after cursor: Int64, limit: Int) async throws -> [(cursor: Int64, revocation: Revocation)] {
        try await tokens.revocations.revocations(after: cursor, limit: limit)
    }

    func feedEnd() async throws -> FeedCursor {
        try await tokens.revocations.feedEnd()
    }

    func lock(of counters: LoginCounters, nowMilliseconds now: Int64) async throws -> Int64 {
        try await failures.lock(of: counters, nowMilliseconds: now)
    }

    func recordFailure(_ counters: LoginCounters, nowMilliseconds now: Int64) async throws -> Int64 {
        try await failures.recordFailure(counters, nowMilliseconds: now)
    }

    func recordSuccess(_ counters: LoginCounters, nowMilliseconds now: Int64) async throws -> Int64 {
        try await failures.recordSuccess(counters, nowMilliseconds: now)
    }

    func sweep(nowMilliseconds now: Int64) async throws {
        try await tokens.sweep(nowMilliseconds: now)
        try await failures.sweep(nowMilliseconds: now)
    }

    func ping() async throws {
        try await tokens.database.ping()
    }
}
