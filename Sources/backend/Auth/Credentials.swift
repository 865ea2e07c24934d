// A user name and a password as they come from outside, bounded and in one Unicode form.
import Foundation

struct Credentials: Sendable {
    /// Longer than any name or mail address in use as a login.
    static let nameLimitCharacters = 254
    /// NIST SP 800-63B asks for 64 or more; beyond 256 it is only work for the hash.
    static let passwordLimitCharacters = 256
    /// NIST SP 800-63B §5.1.1.1; asked of new passwords only.
    static let passwordLeastCharacters = 8

    let name: String
    let password: [UInt8]

    /// Reads `{"username": …, "password": …}` and nothing else.
    init(_ body: JSONNode) throws(JSONFault) {
        var members = try MemberReader(body)
        name = try members.string("username", charactersUpTo: Self.nameLimitCharacters)
        password = Self.normalized(
            try members.string("password", charactersUpTo: Self.passwordLimitCharacters))
        try members.finish()
    }

    /// NFC: one keyboard sends é as one character, another as two (NIST SP 800-63B §5.1.1.2).
    static func normalized(_ password: String) -> [UInt8] {
        Array(password.precomposedStringWithCanonicalMapping.utf8)
    }

    /// Whether a text may be the password of somebody from now on.
    static func isGoodPassword(_ text: String) -> Bool {
        passwordLeastCharacters...passwordLimitCharacters ~= text.unicodeScalars.count
            && !text.unicodeScalars.contains("\0")
    }
}
