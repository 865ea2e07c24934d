// All that several backends must share to act as one: sessions with their refresh tokens, what was revoked, and failed
// logins. In the database, or in Redis.

/// What has become of an access token and of its session.
enum Standing: Sendable {
    case alive
    /// The session has run out; the token was not to live as long as that.
    case expired
    /// One of them was ended, or is not known.
    case ended
}

/// Times are given by the caller's clock; a store that several share goes by its own instead.
protocol SessionStore: Sendable {
    /// Begins a session and returns its first token; both are kept when this returns. Nil when the user was disabled,
    /// or given another password, since he was read.
    func begin(user: User, clientID: String, nowMilliseconds: Int64) async throws -> SessionGrant?
    /// Spends a token for its successor.
    func rotate(_ token: RefreshToken, nowMilliseconds: Int64) async throws -> Rotation

    /// Ends the session that this token belongs to, spent or not; nil for a token that nobody was given.
    func end(of token: RefreshToken, nowMilliseconds: Int64) async throws -> Session?
    /// Ends a session by its `sid`, and the access token that asked for it.
    func end(session: String, tokenID: String?, nowMilliseconds: Int64) async throws
    /// Ends every session of the user and every token that he holds.
    func endAll(of user: String, nowMilliseconds: Int64) async throws
    /// Ends what changes of accounts and API keys in the database have left to be ended.
    func settle() async throws

    /// The user of a token whose session is alive.
    func owner(of token: RefreshToken, nowMilliseconds: Int64) async throws -> String?
    /// Whether an access token with these claims counts.
    func standing(of principal: Principal, issuer: String, nowMilliseconds: Int64) async throws -> Standing
    /// The session of a token that we gave to somebody, spent or not, alive or ended.
    func session(of token: RefreshToken) async throws -> Session?
    /// The token, if it could be spent at this moment.
    func live(_ token: RefreshToken, nowMilliseconds: Int64) async throws -> LiveToken?
    /// The first second in which tokens of this user count.
    func validFrom(of user: String) async throws -> Int64?
    /// How many sessions are alive.
    func count(nowMilliseconds: Int64) async throws -> Int
    /// How many sessions of each of these users are alive; users without one may be absent.
    func counts(of users: [String], nowMilliseconds: Int64) async throws -> [String: Int]
    /// The newest sessions of everybody or of one user, older than the cursor, that are alive.
    func page(
        of user: String?, before cursor: SessionDirectory.Cursor?, limit: Int, nowMilliseconds: Int64
    ) async throws -> [SessionDirectory.Listed]
    /// The session of this `sid`, if it is alive.
    func alive(_ session: String, nowMilliseconds: Int64) async throws -> SessionDirectory.Listed?

    /// The entries behind a cursor, oldest first. Cursors grow and are never given twice.
    func revocations(after cursor: Int64, limit: Int) async throws -> [(cursor: Int64, revocation: Revocation)]
    /// Where they end now. The number counts those that were swept, too.
    func feedEnd() async throws -> FeedCursor

    /// For how many milliseconds logins of these counters are locked yet.
    func lock(of counters: LoginCounters, nowMilliseconds: Int64) async throws -> Int64
    /// Counts a failure, unless they were locked: for so many milliseconds yet.
    func recordFailure(_ counters: LoginCounters, nowMilliseconds: Int64) async throws -> Int64
    /// Forgets the failures of the pair, unless they were locked: for so many milliseconds yet.
    func recordSuccess(_ counters: LoginCounters, nowMilliseconds: Int64) async throws -> Int64

    /// Deletes what nothing needs any more.
    func sweep(nowMilliseconds: Int64) async throws
    /// Whether it answers.
    func ping() async throws
}

/// A refresh token that could be spent now.
struct LiveToken: Sendable {
    let session: Session
    /// When it ends by itself, in seconds since 1970.
    let expires: Int64
    let issued: Int64
}
