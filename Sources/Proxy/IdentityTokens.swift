// Sends the gateway's own token about whoever is asking, and publishes the keys that it can be checked with.
import Bytes
import Configuration
import JOSE
import Policy
import Reactor

extension Worker {
    /// Appends the field of `identity_token` to `added`: a token that was sent before, while that is fresh, else a new one.
    mutating func writeIdentityToken(_ id: SlotID, _ route: Route) {
        let mint = snapshots[exchanges[id].snapshot].mints[Int(route.identityToken)]
        let principal = exchanges[id].principal, now = loop.wallSeconds
        let start = added.count
        let field = mint.fieldStart
        added.append(field.span)
        if let token = minted.find(principal, mint, now: now) {
            minted.write(token, to: &added)
        } else if !mintToken(about: principal, mint, now: now) {
            // Without it the upstream takes the request for nobody's, which is safe.
            return added.truncate(to: start)
        }
        added.append("\r\n")
    }

    private mutating func mintToken(about principal: Principal, _ mint: IdentityMint, now: Int64) -> Bool {
        var subject = ByteBuffer(capacity: 256), permissions = ByteBuffer(capacity: 256)
        var provider = ByteBuffer(capacity: 64)
        authenticator.writeSubject(principal, to: &subject)
        authenticator.writePermissions(principal, to: &permissions)
        authenticator.writeProvider(principal, to: &provider)
        let start = added.count
        let freshUntil = mint.appendToken(
            subject: subject.bytes, permissions: permissions.bytes, provider: provider.bytes, now: now,
            goodUntil: authenticator.goodUntil(principal), to: &added)
        guard let freshUntil else { return false }
        keep(added, from: start, of: principal, mint, freshUntil: freshUntil, in: &minted)
        return true
    }
}

/// Two stored values at once: a span of one is a borrow of the whole worker, a parameter is not.
private func keep(
    _ added: borrowing ByteBuffer, from start: Int, of principal: Principal, _ mint: IdentityMint, freshUntil: Int64,
    in minted: inout MintedTokens
) {
    minted.insert(added.bytes.extracting(start...), of: principal, mint, freshUntil: freshUntil)
}

extension ControlPlane {
    /// The keys with which our own tokens are checked.
    mutating func answerIdentityKeys(_ client: SlotID) {
        admin.answer(
            client, status: 200, type: "application/jwk-set+json", body: configuration.identityKeys.document, &loop)
    }
}
