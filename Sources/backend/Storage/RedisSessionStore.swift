// The store that several backends share: everything in Redis, each step one script, which is whole or not at all.
import Foundation

struct RedisSessionStore: SessionStore {
    /// What each script is told.
    struct Terms: Sendable {
        let prefix: String
        let issuer: String
        /// Where revocations are published.
        let channel: String?
        let accessTokenLifetime: Lifetime
        let lifetime: Lifetime
        let idle: Lifetime
        let grace: Lifetime
    }

    let redis: RedisClient
    let terms: Terms
    let users: UserTable
    let pending: PendingEndings

    func begin(user: User, clientID: String, nowMilliseconds: Int64) async throws -> SessionGrant? {
        let session = Session(id: UUID().uuidString.lowercased(), user: user.name, clientID: clientID)
        let token = RefreshToken()
        let answer = try await run(
            SessionScripts.begin,
            [
                .text(session.id), .text(user.name), .text(clientID), hash(of: token),
                .number(terms.lifetime.milliseconds), .number(terms.idle.milliseconds),
            ]
        ).elements(atLeast: 2)
        // What ends the sessions of a user comes after the change of the user: it has ended this one, or we see why.
        let account = try await users.account(named: user.name)
        guard let account, !account.user.disabled, account.user.importedHash == user.importedHash else {
            try await end(session: session.id, tokenID: nil, nowMilliseconds: nowMilliseconds)
            return nil
        }
        let now = try answer[0].requireNumber()
        return try grant(
            session, token, issued: now, sessionExpires: now + terms.lifetime.milliseconds, of: account, answer[0],
            answer[1])
    }

    func rotate(_ token: RefreshToken, nowMilliseconds: Int64) async throws -> Rotation {
        let next = RefreshToken()
        let answer = try await run(
            SessionScripts.rotate,
            [
                hash(of: token), hash(of: next), .bytes(try token.seal(successor: next)),
                .number(terms.idle.milliseconds), .number(terms.grace.milliseconds),
            ]
        ).elements(atLeast: 1)
        switch try answer[0].requireText() {
        case "unknown": return .unknown
        case "expired": return .expired
        case "revoked": return .revoked
        case "reused" where answer.count >= 4: return .reused(try session(answer[1...]))
        case "continued" where answer.count >= 9:
            // Sealed is ours, or the one that whoever came first has left for us.
            let successor = try token.open(try answer[6].requireBytes())
            let session = try session(answer[1...])
            // Read after the grant: what was taken away since the login is gone from this token on, and what is taken
            // away a moment later ends it.
            guard let account = try await users.account(named: session.user), !account.user.disabled else {
                return .revoked
            }
            return .continued(
                try grant(
                    session, successor, issued: try answer[7].requireNumber(),
                    sessionExpires: try answer[8].requireNumber(), of: account, answer[4], answer[5]))
        default: throw RedisFailure.unexpectedReply
        }
    }

    func end(of token: RefreshToken, nowMilliseconds: Int64) async throws -> Session? {
        let answer = try await run(SessionScripts.endOfToken, [hash(of: token)]).elements()
        return answer.isEmpty ? nil : try session(answer[...])
    }

    func end(session: String, tokenID: String?, nowMilliseconds: Int64) async throws {
        _ = try await run(SessionScripts.end, [.text(session), .text(tokenID ?? "")])
    }

    func endAll(of user: String, nowMilliseconds: Int64) async throws {
        _ = try await run(SessionScripts.endAll, [.text(user)])
    }

    func settle() async throws {
        try await pending.settle { ending in
            switch ending {
            case .sessions(let user): _ = try await run(SessionScripts.endAll, [.text(user)])
            case .tokens(let user): _ = try await run(SessionScripts.endTokens, [.text(user)])
            case .entry(let entry):
                _ = try await run(
                    SessionScripts.revoke, [.text(entry.kind.rawValue), .text(entry.value), .number(entry.until)])
            }
        }
    }

    func owner(of token: RefreshToken, nowMilliseconds: Int64) async throws -> String? {
        guard let found = try await find(token), !found.isRevoked, found.now < found.expires else { return nil }
        return found.session.user
    }

    func session(of token: RefreshToken) async throws -> Session? {
        try await find(token)?.session
    }

    func live(_ token: RefreshToken, nowMilliseconds: Int64) async throws -> LiveToken? {
        guard let found = try await find(token), !found.isRevoked, !found.isSpent,
            found.now < min(found.expires, found.idle)
        else { return nil }
        return LiveToken(
            session: found.session, expires: min(found.expires, found.idle) / 1000, issued: found.created / 1000)
    }

    func standing(of principal: Principal, issuer: String, nowMilliseconds: Int64) async throws -> Standing {
        guard let session = principal.session else { return .ended }
        let answer = try await run(
            SessionScripts.standing,
            [
                .text(session), .text(principal.subject), .number(principal.issuedAt),
                .text(principal.tokenID ?? ""),
            ])
        switch try answer.requireNumber() {
        case 1: return .alive
        case 2: return .expired
        default: return .ended
        }
    }

    func validFrom(of user: String) async throws -> Int64? {
        try await redis.send(["GET", .text("\(terms.prefix):valid_from:\(user)")]).number
    }

    func count(nowMilliseconds: Int64) async throws -> Int {
        Int(try await redis.send(["ZCARD", .text("\(terms.prefix):sessions")]).requireNumber())
    }

    func counts(of users: [String], nowMilliseconds: Int64) async throws -> [String: Int] {
        try await withThrowingTaskGroup(of: (String, Int).self) { group in
            for user in users {
                group.addTask {
                    let answer = try await redis.send(["ZCARD", .text("\(terms.prefix):user:\(user)")])
                    return (user, Int(try answer.requireNumber()))
                }
            }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
    }

    func page(
        of user: String?, before cursor: SessionDirectory.Cursor?, limit: Int, nowMilliseconds: Int64
    ) async throws -> [SessionDirectory.Listed] {
        let answer = try await run(
            SessionScripts.page,
            [
                .text(user ?? ""), .text(cursor.map { "\($0.createdMilliseconds)" } ?? ""), .text(cursor?.id ?? ""),
                .number(Int64(limit)),
            ])
        return try answer.elements().map(listed)
    }

    func alive(_ session: String, nowMilliseconds: Int64) async throws -> SessionDirectory.Listed? {
        let answer = try await run(SessionScripts.alive, [.text(session)])
        return try answer.elements().isEmpty ? nil : listed(answer)
    }

    func revocations(after cursor: Int64, limit: Int) async throws -> [(cursor: Int64, revocation: Revocation)] {
        let answer = try await redis.send([
            "ZRANGE", .text("\(terms.prefix):revocations"), .text("(\(cursor)"), "+inf", "BYSCORE", "LIMIT", "0",
            .number(Int64(limit)),
        ])
        let decoder = JSONDecoder()
        return try answer.elements().map { element in
            let parts = try element.requireText().split(separator: " ", maxSplits: 1)
            guard parts.count == 2, let cursor = Int64(parts[0]) else { throw RedisFailure.unexpectedReply }
            return (cursor, try decoder.decode(Revocation.self, from: Data(parts[1].utf8)))
        }
    }

    /// A Redis that has lost everything has lost the name too, and gets another one.
    func feedEnd() async throws -> FeedCursor {
        let key = "\(terms.prefix):feed"
        while true {
            let found = try await redis.send(["MGET", .text(key), .text("\(terms.prefix):cursor")]).elements(atLeast: 2)
            if let name = found[0].text {
                return FeedCursor(database: name, number: found[1].text.flatMap { Int64($0) } ?? 0)
            }
            let name = UUID().uuidString.replacing("-", with: "").lowercased()
            _ = try await redis.send(["SET", .text(key), .text(name), "NX"])
        }
    }

    func sweep(nowMilliseconds: Int64) async throws {
        // In portions, as nobody else is served meanwhile.
        while try await run(SessionScripts.sweep, []).requireNumber() >= 1000 {}
        let limit = Int64(LoginCounters.limit)
        while try await run(SessionScripts.sweepLogins, [.number(limit)]).requireNumber() >= 1000 {}
    }

    func ping() async throws {
        _ = try await redis.send(["PING"])
    }
}

extension RedisSessionStore {
    func lock(of counters: LoginCounters, nowMilliseconds: Int64) async throws -> Int64 {
        try await run(SessionScripts.lock, subjects(counters)).requireNumber()
    }

    func recordFailure(_ counters: LoginCounters, nowMilliseconds: Int64) async throws -> Int64 {
        let rules = [LoginCounters.pairRule, LoginCounters.nameRule].flatMap { rule -> [RedisCommand.Word] in
            [.number(Int64(rule.failures)), .number(rule.longestSeconds)]
        }
        let first = RedisCommand.Word.number(LoginCounters.firstPauseSeconds)
        return try await run(SessionScripts.recordFailure, subjects(counters) + rules + [first]).requireNumber()
    }

    func recordSuccess(_ counters: LoginCounters, nowMilliseconds: Int64) async throws -> Int64 {
        try await run(SessionScripts.recordSuccess, subjects(counters)).requireNumber()
    }

    private func subjects(_ counters: LoginCounters) -> [RedisCommand.Word] {
        [.text(Base64URL.encode(counters.pair)), .text(Base64URL.encode(counters.name))]
    }
}

extension RedisSessionStore {
    /// A token as Redis knows it, with its session and Redis' own time; all times in milliseconds.
    private struct Found {
        let session: Session
        let created: Int64
        let expires: Int64
        let idle: Int64
        let now: Int64
        let isRevoked: Bool
        let isSpent: Bool
    }

    private func find(_ token: RefreshToken) async throws -> Found? {
        let answer = try await run(SessionScripts.find, [hash(of: token)]).elements()
        if answer.isEmpty { return nil }
        guard answer.count >= 9 else { throw RedisFailure.unexpectedReply }
        return Found(
            session: try session(answer[...]), created: try answer[3].requireNumber(),
            expires: try answer[4].requireNumber(), idle: try answer[5].requireNumber(),
            now: try answer[6].requireNumber(), isRevoked: answer[7].text == "revoked",
            isSpent: answer[8].text == "spent")
    }

    private func listed(_ answer: RedisReply) throws(RedisFailure) -> SessionDirectory.Listed {
        let parts = try answer.elements(atLeast: 6)
        return SessionDirectory.Listed(
            session: try session(parts[...]), createdMilliseconds: try parts[3].requireNumber(),
            refreshedMilliseconds: parts[4].number, expiresMilliseconds: try parts[5].requireNumber())
    }

    private func run(_ script: RedisScript, _ arguments: [RedisCommand.Word]) async throws -> RedisReply {
        let lasts = RevocationStore.longestSeconds(accessTokenLifetime: terms.accessTokenLifetime)
        return try await redis.run(
            script,
            [.text(terms.prefix), .text(terms.issuer), .text(terms.channel ?? ""), .number(lasts)] + arguments)
    }

    private func hash(of token: RefreshToken) -> RedisCommand.Word { .text(Base64URL.encode(token.hash)) }

    private func session(_ parts: ArraySlice<RedisReply>) throws(RedisFailure) -> Session {
        let parts = Array(parts)
        guard parts.count >= 3 else { throw .unexpectedReply }
        return Session(
            id: try parts[0].requireText(), user: try parts[1].requireText(), clientID: try parts[2].requireText())
    }

    private func grant(
        _ session: Session, _ token: RefreshToken, issued: Int64, sessionExpires: Int64, of account: Account,
        _ now: RedisReply, _ validFrom: RedisReply
    ) throws(RedisFailure) -> SessionGrant {
        SessionGrant(
            session: session, refreshToken: token, refreshIssuedMilliseconds: issued,
            refreshExpiresMilliseconds: min(sessionExpires, issued + terms.idle.milliseconds),
            grantedMilliseconds: try now.requireNumber(), validFrom: try validFrom.requireNumber(), account: account)
    }
}
