// The keys that one version of the vault's secret holds.
import Foundation

struct VaultedKeys: Sendable {
    /// As they stand in the secret.
    struct Texts: Sendable {
        /// A PEM, or a shared secret when it has a name.
        let active: String
        let next: String?
        let secretName: String?
        let activeSince: String?

        /// Reads `private_key` and `next_private_key`, or `hs256_secret` and `kid`.
        init(_ node: JSONNode) throws(JSONFault) {
            var members = try MemberReader(node)
            activeSince = try members.optionalString("active_since", charactersUpTo: 64)
            if let secret = try members.optionalString("hs256_secret", charactersUpTo: 4096) {
                active = secret
                secretName = try members.string("kid", charactersUpTo: 64)
                next = nil
            } else {
                active = try members.string("private_key", charactersUpTo: 16384)
                next = try members.optionalString("next_private_key", charactersUpTo: 16384)
                secretName = nil
            }
            try members.finish()
        }
    }

    let texts: Texts
    let active: SigningKey
    let next: SigningKey?
    /// When the active key began to sign.
    let since: Date

    init(_ secret: VaultSecret) async throws(VaultFailure) {
        let place = "version \(secret.version) of the secret"
        do throws(JSONFault) {
            texts = try Texts(secret.members)
        } catch {
            // Where it stands in the answer says nothing to whoever wrote the secret.
            throw .unusable("\(place): \(error.message)")
        }
        do throws(StartupFailure) {
            if let name = texts.secretName {
                active = try await SigningKey(secret: SigningSecret(name: name, bytes: Array(texts.active.utf8)))
                next = nil
            } else {
                active = try await SigningKey(pem: texts.active)
                next = if let text = texts.next { try await SigningKey(pem: text) } else { nil }
            }
        } catch {
            throw .unusable("\(place): \(error)")
        }
        since = texts.activeSince.flatMap(VaultSecret.date) ?? secret.created
    }
}
