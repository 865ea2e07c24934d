// A key with which a program of a user calls the API, without the secret that nobody but its owner has.
import Foundation

struct APIKey: Sendable {
    let id: String
    let user: String
    let name: String
    let permissions: [String]
    let createdMilliseconds: Int64
    let expiresMilliseconds: Int64?
    let lastUsedMilliseconds: Int64?
}

/// The key itself, `gk_live_<id>_<secret>`: scanners for leaked secrets know it by its beginning. Never logged or stored.
struct APIKeySecret: Sendable {
    private static let prefix = "gk_live_"
    private static let idBytes = 12
    private static let secretBytes = 32

    let id: String
    let text: String

    /// A new key from the system's random generator.
    init() {
        id = Data.random(count: Self.idBytes).map { byte in
            String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
        }.joined()
        text = "\(Self.prefix)\(id)_\(Base64URL.encode(.random(count: Self.secretBytes)))"
    }

    /// A key as a client presents it, or nil when it cannot be one of ours.
    init?(presented text: String) {
        guard text.hasPrefix(Self.prefix) else { return nil }
        let parts = text.dropFirst(Self.prefix.count).split(
            separator: "_", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].utf8.count == 2 * Self.idBytes,
            Base64URL.decode(parts[1])?.count == Self.secretBytes
        else { return nil }
        id = String(parts[0])
        self.text = text
    }

    /// What the store knows it by. 256 random bits need no salt and no slow hash.
    var hash: Data { Data(sha256Of: text) }
}
