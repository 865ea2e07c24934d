// How passwords become hashes: Argon2id, and where there is one a pepper: a secret that is not where the hashes are, so that whoever
// steals these alone cannot try passwords (NIST SP 800-63B §5.1.1.2).
import Crypto
import Foundation
import Synchronization

struct PasswordPepper: Sendable {
    /// Stands in every hash that was made with it, as `keyid`.
    let name: String
    private let key: SymmetricKey

    init(_ secret: SigningSecret) {
        name = secret.name
        key = SymmetricKey(data: secret.bytes)
    }

    /// What is hashed in the place of the password.
    func season(_ password: [UInt8]) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: password, using: key))
    }
}

final class PasswordHashing: Sendable {
    /// The first makes new hashes; the others were first before.
    private let peppers: Mutex<[PasswordPepper]>
    /// Costs as much as any other hash.
    private let decoy = Argon2id.hash(Array(UUID().uuidString.utf8))

    init(_ peppers: [PasswordPepper] = []) { self.peppers = Mutex(peppers) }

    /// Reads the files of secrets, each named after its file.
    convenience init(files: [String]) throws(StartupFailure) {
        var peppers: [PasswordPepper] = []
        for path in files {
            let pepper = PasswordPepper(try SigningSecret(file: path))
            guard !peppers.contains(where: { $0.name == pepper.name }) else {
                throw StartupFailure("\(path): there is another pepper of the name \(pepper.name)")
            }
            peppers.append(pepper)
        }
        self.init(peppers)
    }

    func replace(with peppers: [PasswordPepper]) { self.peppers.withLock { $0 = peppers } }

    /// A new hash, with today's parameters and pepper.
    func hash(_ password: [UInt8]) -> String {
        guard let pepper = peppers.withLock(\.first) else { return Argon2id.hash(password) }
        return Argon2id.hash(pepper.season(password), keyID: pepper.name)
    }

    /// Whether the password fits the hash; with no hash, or one whose pepper is gone, the same work is done and the answer is no.
    func verify(_ password: [UInt8], against hash: String?) -> Bool {
        guard let hash, let seasoned = seasoned(password, for: hash) else {
            _ = Argon2id.verify(password, against: decoy)
            return false
        }
        return Argon2id.verify(seasoned, against: hash)
    }

    /// Whether a hash was made with other parameters or another pepper than today's.
    func isOutdated(_ hash: String) -> Bool {
        guard let parameters = Argon2id.parameters(of: hash) else { return true }
        return parameters.costs != Argon2id.current || parameters.keyID != peppers.withLock(\.first?.name)
    }

    /// The name of the hash's pepper, when it is none of ours.
    func missingPepper(of hash: String) -> String? {
        guard let name = Argon2id.parameters(of: hash)?.keyID else { return nil }
        return pepper(name) == nil ? name : nil
    }

    private func seasoned(_ password: [UInt8], for hash: String) -> [UInt8]? {
        guard let name = Argon2id.parameters(of: hash)?.keyID else { return password }
        return pepper(name)?.season(password)
    }
    private func pepper(_ name: String) -> PasswordPepper? {
        peppers.withLock { $0.first { $0.name == name } }
    }
}
