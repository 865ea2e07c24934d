// A program that may ask the auth service about tokens, as secrets.json names it.
import Crypto
import Foundation

/// What a client may do beyond naming itself.
enum ClientRight: String, Sendable, CaseIterable {
    /// Ask what a token or an API key is good for.
    case introspect
    /// Renew and revoke tokens that were issued to it.
    case tokens
    /// Listen to what is revoked.
    case revocations
}

struct ClientEntry: Sendable {
    private static let idLimitCharacters = 128
    private static let secretLimitCharacters = 256
    /// A machine makes it and no machine forgets it; shorter ones could be guessed from a fast hash.
    private static let secretLeastCharacters = 32
    private static let hashPrefix = "sha256:"

    let id: String
    let secretHash: Data
    let rights: Set<ClientRight>
    /// The hash in the words of the file, when the secret stood there plainly.
    let replacement: String?

    /// Reads `{"id": …, "secret" or "secret_hash": …, "rights": […]}` and nothing else.
    init(_ members: MemberReader) throws(JSONFault) {
        var members = members
        id = try members.string("id", charactersUpTo: Self.idLimitCharacters)
        guard id.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw members.fault("\"\(members.name(of: "id"))\" must be visible ASCII characters", at: "id")
        }
        if let secret = try members.optionalString("secret", charactersUpTo: Self.secretLimitCharacters) {
            guard members.member("secret_hash") == nil else {
                throw members.fault("give either \"secret\" or \"secret_hash\", not both", at: "secret")
            }
            guard secret.utf8.count >= Self.secretLeastCharacters else {
                throw members.fault(
                    "\"\(members.name(of: "secret"))\" must have \(Self.secretLeastCharacters) characters or more",
                    at: "secret")
            }
            secretHash = Data(sha256Of: secret)
            replacement = "\"secret_hash\": \"\(Self.hashPrefix)\(Base64URL.encode(secretHash))\""
        } else {
            let text = try members.string("secret_hash", charactersUpTo: 128)
            let digits = text.hasPrefix(Self.hashPrefix) ? text.dropFirst(Self.hashPrefix.count) : ""
            guard let hash = Base64URL.decode(digits), hash.count == SHA256.byteCount else {
                throw members.fault(
                    "\"\(members.name(of: "secret_hash"))\" is not \"sha256:\" and a SHA-256 in base64url",
                    at: "secret_hash")
            }
            secretHash = hash
            replacement = nil
        }
        rights = try Self.rights(&members)
        try members.finish()
    }

    private static func rights(_ members: inout MemberReader) throws(JSONFault) -> Set<ClientRight> {
        var rights: Set<ClientRight> = []
        for element in try members.array("rights") {
            guard case .string(let text) = element.value, let right = ClientRight(rawValue: text) else {
                let known = ClientRight.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
                throw JSONFault(message: "a right must be one of \(known)", position: element.start)
            }
            rights.insert(right)
        }
        return rights
    }
}
