// permissions.json: the permissions of each role, `{"roles": {"user": ["read:data"]}}`.

struct PermissionsFile: Sendable {
    struct Role: Sendable, Equatable {
        let name: String
        var permissions: [String]
    }

    let roles: [Role]

    static func read(_ path: String) throws(StartupFailure) -> PermissionsFile {
        let bytes = try FileReading.bytes(of: path)
        do throws(JSONFault) {
            return PermissionsFile(roles: try roles(in: try JSONReader.parse(bytes)))
        } catch {
            throw StartupFailure(file: path, error)
        }
    }

    /// The text of a file with these roles, one on each line.
    static func text(of roles: [Role]) -> String {
        let lines = roles.map { "    \(JSONText.string($0.name)): \(JSONText.array($0.permissions))" }
        return "{\n  \"roles\": {\n" + lines.joined(separator: ",\n") + "\n  }\n}\n"
    }

    /// The roles of a parsed file.
    static func roles(in text: JSONNode) throws(JSONFault) -> [Role] {
        var reader = try MemberReader(text)
        let node = try reader.node("roles")
        try reader.finish()
        var members = try MemberReader(node, path: "roles")
        var roles: [Role] = []
        for name in members.names {
            // A blank or a quote inside would tear the space-separated header and scope lists that carry the name.
            guard Vocabulary.isWord(name) else {
                throw JSONFault(
                    message: "the role \"\(name)\" is not a word of letters, digits and :._*-",
                    position: members.member(name)?.start ?? node.start, member: members.name(of: name))
            }
            roles.append(Role(name: name, permissions: try permissions(&members, of: name)))
        }
        return roles
    }

    private static func permissions(_ members: inout MemberReader, of role: String) throws(JSONFault) -> [String] {
        var permissions: [String] = []
        for element in try members.array(role) {
            guard case .string(let permission) = element.value, Vocabulary.isWord(permission) else {
                throw JSONFault(
                    message: "a permission of the role \"\(role)\" must be a word of letters, digits and :._*-",
                    position: element.start, member: members.name(of: role))
            }
            guard !permissions.contains(permission) else {
                throw JSONFault(
                    message: "the role \"\(role)\" has the permission \"\(permission)\" twice", position: element.start,
                    member: members.name(of: role))
            }
            permissions.append(permission)
        }
        return permissions
    }
}

/// The words that roles and permissions are made of.
enum Vocabulary {
    /// Longer names are a mistake, and every one of them travels in every token.
    private static let lengthLimitBytes = 128

    static func isWord(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= lengthLimitBytes
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                case UInt8(ascii: ":"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "*"): true
                default: false
                }
            }
    }
}
