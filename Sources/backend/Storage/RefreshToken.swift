// A refresh token: 256 random bits in base64url. Stored as a hash; its successor is encrypted under it.
import Crypto
import Foundation

struct RefreshToken: Sendable {
    /// What the client holds. Never logged, never stored.
    let text: String
    /// What the store knows it by. 256 random bits need no salt and no slow hash.
    let hash: Data

    /// A new token from the system's random generator.
    init() {
        self.init(text: Base64URL.encode(.random(count: 32)))
    }

    /// A token as a client presents it, or nil when it cannot be one of ours.
    init?(presented text: String) {
        guard Base64URL.decode(text[...])?.count == 32 else { return nil }
        self.init(text: text)
    }

    private init(text: String) {
        self.text = text
        hash = Data(sha256Of: text)
    }

    /// The successor, readable only with this token: a stolen database yields no live token.
    func seal(successor: RefreshToken) throws -> Data {
        let box = try AES.GCM.seal(Data(successor.text.utf8), using: graceKey, authenticating: hash)
        guard let sealed = box.combined else { throw CryptoKitError.incorrectParameterSize }
        return sealed
    }

    /// The successor that was sealed under this token.
    func open(_ sealed: Data) throws -> RefreshToken {
        let bytes = try AES.GCM.open(AES.GCM.SealedBox(combined: sealed), using: graceKey, authenticating: hash)
        guard let token = RefreshToken(presented: String(decoding: bytes, as: UTF8.self)) else {
            throw CryptoKitError.authenticationFailure
        }
        return token
    }

    private var graceKey: SymmetricKey {
        HKDF<SHA256>.deriveKey(
            inputKeyMaterial: SymmetricKey(data: Data(text.utf8)), info: Data("refresh-grace".utf8),
            outputByteCount: 32)
    }
}
