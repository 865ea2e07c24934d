// The body that asks for an API key.
import Foundation

struct APIKeyRequest: Sendable {
    private static let nameLimitCharacters = 64
    private static let permissionLimitCharacters = 128

    let name: String
    /// nil: all that the owner has.
    let permissions: [String]?
    let expires: Date?

    /// Reads `{"name": …, "permissions": […], "expires_at": …}`, the last two optional, and nothing else.
    init(_ body: JSONNode, now: Date) throws(JSONFault) {
        var members = try MemberReader(body)
        name = try members.string("name", charactersUpTo: Self.nameLimitCharacters)
        guard !name.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else {
            throw members.fault("\"name\" must not contain control characters", at: "name")
        }
        permissions = try Self.permissions(&members)
        expires = try Self.expires(&members, now)
        try members.finish()
    }

    private static func permissions(_ members: inout MemberReader) throws(JSONFault) -> [String]? {
        guard let elements = try members.optionalArray("permissions") else { return nil }
        var permissions: Set<String> = []
        for element in elements {
            guard case .string(let text) = element.value, (1...permissionLimitCharacters).contains(text.utf8.count)
            else {
                throw JSONFault(
                    message: "a permission must be a string of 1 to \(permissionLimitCharacters) bytes",
                    position: element.start, member: "permissions")
            }
            permissions.insert(text)
        }
        return permissions.sorted()
    }

    private static func expires(_ members: inout MemberReader, _ now: Date) throws(JSONFault) -> Date? {
        guard let text = try members.optionalString("expires_at", charactersUpTo: 40) else { return nil }
        guard let date = try? Date(text, strategy: .iso8601) else {
            throw members.fault("\"expires_at\" must be a time as in 2030-01-31T12:00:00Z", at: "expires_at")
        }
        guard date > now else { throw members.fault("\"expires_at\" has passed", at: "expires_at") }
        return date
    }
}
