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
