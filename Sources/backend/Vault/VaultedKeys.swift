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
        /// The members of the peppers of passwords, as they stand there.
        let peppers: [String: String]

        /// A pepper and its name, and those that came before.
        static let pepperNames = [
            ("password_pepper", "password_pepper_id"), ("previous_password_pepper", "previous_password_pepper_id"),
        ]

        /// Reads `private_key` and `next_private_key`, or `hs256_secret` and `kid`; and the peppers.
        init(_ node: JSONNode) throws(JSONFault) {
            var members = try MemberReader(node)
            var peppers: [String: String] = [:]
            for (secret, name) in Self.pepperNames {
                guard let text = try members.optionalString(secret, charactersUpTo: 4096) else { continue }
                peppers[secret] = text
                peppers[name] = try members.string(name, charactersUpTo: 64)
            }
            self.peppers = peppers
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
    /// The newest first.
    let peppers: [PasswordPepper]
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
            var peppers: [PasswordPepper] = []
            for (secret, name) in Texts.pepperNames {
                guard let text = texts.peppers[secret], let id = texts.peppers[name] else { continue }
                peppers.append(PasswordPepper(try SigningSecret(name: id, bytes: Array(text.utf8))))
            }
            self.peppers = peppers
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
