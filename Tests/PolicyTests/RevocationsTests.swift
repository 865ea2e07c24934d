// What revocations say of cached and new credentials, through the authenticator that requests ask.
import Bytes
import Configuration
import Policy
import Testing
import TokenSigning

@Suite struct RevocationsTests {
    private static let token = TokenSigner.edwards.token(
        claims(["jti": "\"t\"", "sid": "\"s\"", "azp": "\"c\"", "iat": "\(tokenTime - 10).5"]))

    private func revocation(_ name: String, _ change: (inout Revocation) -> Void = { _ in }) -> Revocation {
        var revocation = Revocation(name: name, position: SourcePosition(file: "test.conf", line: 1, column: 1))
        change(&revocation)
        return revocation
    }
    private func heard(_ revocation: inout Revocation) {
        revocation.channel = RedisChannel(isTLS: false, host: "127.0.0.1", port: 1, channel: "a")
    }
    private func authenticator(_ revocations: [Revocation]) -> Authenticator {
        var authenticator = Authenticator([], workers: 1)
        authenticator.update([provider(keys: [.edwards])], revocations)
        return authenticator
    }
    private func entry(
        _ kind: RevocationKind, _ value: String, block: String = "r", until: Int64 = tokenTime + 600, before: UInt32 = 0
    ) -> RevocationEntry {
        var keys = RevocationKeys()
        let scope = keys.scope(block)
        let (issuer, value) = (Array("https://issuer.example".utf8), Array(value.utf8))
        keys.begin(issuer: issuer.span)
        return RevocationEntry(
            key: keys.key(kind, value.span).scoped(by: scope), until: UInt32(until), before: before)
    }
    /// The verdict for a location that obeys the block at that place.
    private func judge(
        _ authenticator: inout Authenticator, block: Int = 0, at now: Int64 = tokenTime, time: UInt64 = 1
    ) throws -> RevocationVerdict {
        var location = Location(
            match: .fallback, server: 0, name: "x", position: SourcePosition(file: "test.conf", line: 1, column: 1))
        location.access.revocation = block
        let number = authenticator.revocationBlocks([location])[0]
        let found = try principal(&authenticator, Self.token, at: now)
        defer { authenticator.release(found) }
        return authenticator.judge(
            PrincipalSet(found), revocations: number, now: now, time: Instant(nanoseconds: time))
    }

    @Test(arguments: [(RevocationKind.tokenID, "t"), (.session, "s"), (.subject, "alice"), (.client, "c")])
    func whatIsCachedIsRevoked(_ kind: RevocationKind, _ value: String) throws {
        var authenticator = authenticator([revocation("r")])
        #expect(try judge(&authenticator) == .good)
        authenticator.revoke([entry(kind, value + "x")], now: tokenTime)
        #expect(try judge(&authenticator) == .good)
        authenticator.revoke([entry(kind, value)], now: tokenTime)
        #expect(try judge(&authenticator) == .revoked)
        #expect(try judge(&authenticator) == .revoked)
    }

    @Test func anEntryEnds() throws {
        var authenticator = authenticator([revocation("r")])
        authenticator.revoke([entry(.tokenID, "t", until: tokenTime + 2)], now: tokenTime)
        #expect(try judge(&authenticator, at: tokenTime + 1) == .revoked)
        #expect(try judge(&authenticator, at: tokenTime + 2) == .good)
        authenticator.forgetRevocations(now: tokenTime + 2)
        #expect(try judge(&authenticator, at: tokenTime + 3) == .good)
    }

    /// A token issued half a second before a date was issued before it.
    @Test func fractionsOfASecond() throws {
        var authenticator = authenticator([revocation("r")])
        authenticator.revoke([entry(.subject, "alice", before: UInt32(tokenTime - 10))], now: tokenTime)
        #expect(try judge(&authenticator) == .good)
        authenticator.revoke([entry(.subject, "alice", before: UInt32(tokenTime - 9))], now: tokenTime)
        #expect(try judge(&authenticator) == .revoked)
    }

    @Test func blocksAreApart() throws {
        var authenticator = authenticator([revocation("q"), revocation("r")])
        authenticator.revoke([entry(.tokenID, "t")], now: tokenTime)
        for _ in 0..<2 {
            #expect(try judge(&authenticator, block: 0) == .good)
            #expect(try judge(&authenticator, block: 1) == .revoked)
        }
        // Another order, other blocks: what was revoked stays, where it was.
        authenticator.update([provider(keys: [.edwards])], [revocation("r"), revocation("p")])
        #expect(try judge(&authenticator, block: 0) == .revoked)
        #expect(try judge(&authenticator, block: 1) == .good)
    }

    @Test func whatWasCachedBeforeAnybodyAskedIsJudged() throws {
        var authenticator = authenticator([])
        authenticator.release(try principal(&authenticator, Self.token))
        authenticator.update([provider(keys: [.edwards])], [revocation("r")])
        authenticator.revoke([entry(.session, "s")], now: tokenTime)
        #expect(try judge(&authenticator) == .revoked)
    }

    @Test func staleness() throws {
        let second: UInt64 = 1_000_000_000
        var authenticator = authenticator([
            revocation("allows", heard),
            revocation("denies") {
                heard(&$0); $0.deniesWhenStale = true
            },
            revocation("by hand") { $0.deniesWhenStale = true },
        ])
        // Never heard
        #expect(try judge(&authenticator, block: 0, time: second) == .goodThoughStale)
        #expect(try judge(&authenticator, block: 1, time: second) == .stale)
        #expect(try judge(&authenticator, block: 2, time: second) == .good, "there is nobody to hear")
        for name in ["allows", "denies", "unknown"] {
            authenticator.heardRevocations(name, at: Instant(nanoseconds: 10 * second))
        }
        for block in 0...2 { #expect(try judge(&authenticator, block: block, time: 70 * second) == .good) }
        #expect(try judge(&authenticator, block: 0, time: 70 * second + 1) == .goodThoughStale)
        #expect(try judge(&authenticator, block: 1, time: 70 * second + 1) == .stale)
        // An older word changes nothing.
        authenticator.heardRevocations("denies", at: Instant(nanoseconds: 5 * second))
        #expect(try judge(&authenticator, block: 1, time: 70 * second) == .good)
        authenticator.revoke([entry(.tokenID, "t", block: "allows")], now: tokenTime)
        #expect(try judge(&authenticator, block: 0, time: 99 * second) == .revoked)
    }
}
