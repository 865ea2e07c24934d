// secrets.json: users with their password hashes and roles, and clients. What is plain is hashed and replaced in the file.

struct SecretsFile: Sendable {
    struct Entry: Sendable, Equatable {
        let name: String
        var displayName: String
        var email: String?
        var passwordHash: String
        var disabled: Bool
        var roles: [String]

        /// Whether a new user may have this name: it must be able to stand in a path, behind any proxy.
        static func isGoodName(_ name: String) -> Bool {
            !name.contains("/") && !name.contains("\\") && name != "." && name != ".."
        }
    }

    /// A plain password or secret that stood in the file, now as its hash: bytes `from..<to` become `text`.
    private struct Replacement {
        let from: Int
        let to: Int
        let text: String
    }

    let users: [Entry]
    /// The users whose plain password was replaced by its hash.
    let replaced: [String]
    let clients: [ClientEntry]

    /// Reads the users; every role must be one of `roles`.
    static func read(
        _ path: String, roles: PermissionsFile, hashing: PasswordHashing
    ) throws(StartupFailure) -> SecretsFile {
        try FileReading.requirePrivate(path)
        let bytes = try FileReading.bytes(of: path)
        let parser = try parse(bytes, path: path, roles: roles.roles, hashing)
        if !parser.replacements.isEmpty {
            let inOrder = parser.replacements.sorted { $0.from < $1.from }
            try FileReading.replacePrivately(path, with: apply(inOrder, to: bytes))
        }
        return SecretsFile(users: parser.users, replaced: parser.replaced, clients: parser.clients)
    }

    /// Refuses a text that `read` would refuse.
    static func check(
        _ text: [UInt8], path: String, roles: [PermissionsFile.Role], hashing: PasswordHashing
    ) throws(StartupFailure) {
        _ = try parse(text, path: path, roles: roles, hashing)
    }

    private static func parse(
        _ text: [UInt8], path: String, roles: [PermissionsFile.Role], _ hashing: PasswordHashing
    ) throws(StartupFailure) -> Parser {
        var parser = Parser(roles: Set(roles.map(\.name)), hashing: hashing)
        do throws(JSONFault) {
            try parser.parse(text)
        } catch {
            throw StartupFailure(file: path, error)
        }
        return parser
    }

    /// Only the members change: the rest of the file stays as its author wrote it.
    private static func apply(_ replacements: [Replacement], to bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        for replacement in replacements.reversed() {
            bytes.replaceSubrange(replacement.from..<replacement.to, with: replacement.text.utf8)
        }
        return bytes
    }

    private struct Parser {
        let roles: Set<String>
        let hashing: PasswordHashing
        var users: [Entry] = []
        var replaced: [String] = []
        var clients: [ClientEntry] = []
        var replacements: [Replacement] = []

        mutating func parse(_ bytes: [UInt8]) throws(JSONFault) {
            var reader = try MemberReader(try JSONReader.parse(bytes))
            let nodes = try reader.array("users")
            let programs = try reader.optionalArray("clients") ?? []
            try reader.finish()
            try parse(clients: programs)
            var names: Set<String> = []
            for (index, node) in nodes.enumerated() {
                let user = try entry(MemberReader(node, path: "users[\(index)]"))
                guard names.insert(user.name).inserted else {
                    throw JSONFault(message: "the user \"\(user.name)\" stands here twice", position: node.start)
                }
                users.append(user)
            }
        }

        private mutating func parse(clients nodes: [JSONNode]) throws(JSONFault) {
            var ids: Set<String> = []
            for (index, node) in nodes.enumerated() {
                let members = try MemberReader(node, path: "clients[\(index)]")
                let client = try ClientEntry(members)
                guard ids.insert(client.id).inserted else {
                    throw JSONFault(message: "the client \"\(client.id)\" stands here twice", position: node.start)
                }
                if let text = client.replacement, let member = members.member("secret") {
                    replacements.append(
                        Replacement(from: member.start.offset, to: member.node.endOffset, text: text))
                }
                clients.append(client)
            }
        }

        private mutating func entry(_ members: MemberReader) throws(JSONFault) -> Entry {
            var members = members
            let name = try members.string("name", charactersUpTo: Credentials.nameLimitCharacters)
            // The name goes into log lines, where a line break would forge one.
            guard !name.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else {
                throw members.fault("\"\(members.name(of: "name"))\" must not contain control characters", at: "name")
            }
            let displayName = try members.optionalString("display_name", charactersUpTo: 256)
            // The longest address that mail can carry (RFC 5321 §4.5.3.1.3).
            let email = try members.optionalString("email", charactersUpTo: 254)
            let disabled = try members.optionalBoolean("disabled") ?? false
            let hash = try passwordHash(&members, of: name)
            let roles = try roles(&members)
            try members.finish()
            return Entry(
                name: name, displayName: displayName ?? name, email: email, passwordHash: hash, disabled: disabled,
                roles: roles)
        }

        private mutating func passwordHash(
            _ members: inout MemberReader, of name: String
        ) throws(JSONFault) -> String {
            let plain = try members.optionalString(
                "password", charactersUpTo: Credentials.passwordLimitCharacters)
            guard let plain, let member = members.member("password") else {
                let hash = try members.string("password_hash", charactersUpTo: 512)
                guard Argon2id.parameters(of: hash) != nil else {
                    throw members.fault(
                        "\"\(members.name(of: "password_hash"))\" is not an Argon2id hash ($argon2id$v=19$m=…)",
                        at: "password_hash")
                }
                return hash
            }
            guard members.member("password_hash") == nil else {
                throw members.fault("give either \"password\" or \"password_hash\", not both", at: "password")
            }
            let hash = hashing.hash(Credentials.normalized(plain))
            replaced.append(name)
            replacements.append(
                Replacement(
                    from: member.start.offset, to: member.node.endOffset, text: "\"password_hash\": \"\(hash)\""))
            return hash
        }

        private func roles(_ members: inout MemberReader) throws(JSONFault) -> [String] {
            var granted: [String] = []
            for element in try members.array("roles") {
                guard case .string(let role) = element.value else {
                    throw JSONFault(message: "a role must be a string, not \(element.kind)", position: element.start)
                }
                guard roles.contains(role) else {
                    let known = roles.sorted().map { "\"\($0)\"" }.joined(separator: ", ")
                    throw JSONFault(
                        message: "unknown role \"\(role)\"; the permissions file has \(known)", position: element.start)
                }
                guard !granted.contains(role) else {
                    throw JSONFault(message: "the role \"\(role)\" stands here twice", position: element.start)
                }
                granted.append(role)
            }
            return granted
        }
    }
}
