// What was revoked, as the authenticator of one worker knows it: told by the control thread, asked for each request.
package import Bytes
package import Configuration

extension Authenticator {
    package mutating func revoke(_ entries: [RevocationEntry], now: Int64) { revocations.insert(entries, now: now) }
    /// A source of the block of that name was heard.
    package mutating func heardRevocations(_ name: String, at time: Instant) { revocations.heard(name, at: time) }
    /// Once a second.
    package mutating func forgetRevocations(now: Int64) { revocations.keepUp(now: now) }
    /// Which block each location obeys, as a number for `judge`; -1: none.
    package func revocationBlocks(_ locations: [Location]) -> FixedArray<Int32> {
        var blocks = FixedArray(repeating: Int32(-1), count: locations.count)
        for (i, location) in locations.enumerated() {
            if let index = location.access.revocation { blocks[i] = revocations.place(ofConfigured: index) }
        }
        return blocks
    }

    /// Forgets what a service said of revoked API keys before all that their owners held was ended; true when there was
    /// such an answer, and the service can be asked anew.
    package mutating func forgetOutdatedKeys(
        _ principals: PrincipalSet, revocations block: Int32, now: Int64, time: Instant
    ) -> Bool {
        var forgotten = false
        for i in 0..<Int(principals.count) {
            let id = principals[i].provider, entry = principals[i].entry
            guard isReadable(principals[i]),
                providers[id].judge(entry, revocations, block: Int(block), now: now, time: time) == .revoked,
                providers[id].isOutdated(entry, revocations, block: Int(block), now: now)
            else { continue }
            providers[id].cache.remove(entry)
            forgotten = true
        }
        return forgotten
    }
    /// Remembers for some seconds that these keys are revoked: the service was asked anew, and nothing changed.
    package mutating func refuseKeys(_ principals: PrincipalSet, now: Int64) {
        for i in 0..<Int(principals.count) {
            let id = principals[i].provider
            guard isReadable(principals[i]), providers[id].configuration.kind == .apiKey else { continue }
            refused.insert(
                providers[id].cache.key(of: principals[i].entry), provider: id, AuthenticationPlan(.any, [id]),
                .apiKeyRevoked, now: now, seconds: providers[id].negativeSeconds)
        }
    }

    /// What revocations say of everybody whom a request comes from.
    package mutating func judge(
        _ principals: PrincipalSet, revocations block: Int32, now: Int64, time: Instant
    ) -> RevocationVerdict {
        var verdict = RevocationVerdict.good
        for i in 0..<Int(principals.count) {
            let principal = principals[i]
            guard isReadable(principal) else { continue }
            verdict = providers[principal.provider].judge(
                principal.entry, revocations, block: Int(block), now: now, time: time)
            if verdict == .revoked || verdict == .stale { return verdict }
        }
        return verdict
    }
}
