// Writes users into the text of secrets.json; those that do not change stay as their author wrote them.

enum SecretsText {
    /// The text with the users `new` in the place of `old`, which are those that it has.
    static func replacing(
        _ old: [SecretsFile.Entry], by new: [SecretsFile.Entry], in bytes: [UInt8]
    ) throws(JSONFault) -> [UInt8] {
        var reader = try MemberReader(try JSONReader.parse(bytes))
        let array = try reader.node("users")
        let pairs = zip(old, try reader.array("users")).map { user, element in
            (user.name, (user, String(decoding: bytes[element.start.offset..<element.endOffset], as: UTF8.self)))
        }
        let known = Dictionary(uniqueKeysWithValues: pairs)
        let lines = new.map { user in
            guard let (before, written) = known[user.name], before == user else { return "    " + line(for: user) }
            return "    " + written
        }
        var text = bytes
        text.replaceSubrange(
            array.start.offset..<array.endOffset,
            with: (lines.isEmpty ? "[]" : "[\n\(lines.joined(separator: ",\n"))\n  ]").utf8)
        return text
    }

    /// One user as an object on one line.
    private static func line(for user: SecretsFile.Entry) -> String {
        var members = [
            "\"name\": \(JSONText.string(user.name))", "\"password_hash\": \(JSONText.string(user.passwordHash))",
            "\"roles\": \(JSONText.array(user.roles))",
        ]
        if user.displayName != user.name { members.append("\"display_name\": \(JSONText.string(user.displayName))") }
        if let email = user.email { members.append("\"email\": \(JSONText.string(email))") }
        if user.disabled { members.append("\"disabled\": true") }
        return "{" + members.joined(separator: ", ") + "}"
    }
}
