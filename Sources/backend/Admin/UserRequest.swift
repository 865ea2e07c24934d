// The bodies that make and change a user; what they do not name stays as it is.

/// What a request says about a user.
struct UserRequest: Sendable {
    private static let nameLimitCharacters = Credentials.nameLimitCharacters
    private static let displayNameLimitCharacters = 256
    /// The longest address that mail can carry (RFC 5321 §4.5.3.1.3).
    private static let emailLimitCharacters = 254

    /// Of a user who is to be made; nil in a change.
    let name: String?
    let password: [UInt8]?
    let roles: [String]?
    let disabled: Bool?
    /// nil inside: the member is null, which takes the value away.
    let displayName: String??
    let email: String??

    /// Reads what makes a user.
    static func creation(_ body: JSONNode) throws(JSONFault) -> UserRequest {
        var members = try MemberReader(body)
        let name = try members.visibleString("name", charactersUpTo: nameLimitCharacters)
        _ = try members.node("password")
        _ = try members.node("roles")
        return try UserRequest(members, name: name)
    }

    /// Reads what changes a user.
    static func change(_ body: JSONNode) throws(JSONFault) -> UserRequest {
        try UserRequest(try MemberReader(body), name: nil)
    }

    private init(_ members: MemberReader, name: String?) throws(JSONFault) {
        var members = members
        self.name = name
        password = try Self.password(&members)
        roles = try members.optionalWords("roles")
        disabled = try members.optionalBoolean("disabled")
        displayName = try Self.text("display_name", Self.displayNameLimitCharacters, &members)
        email = try Self.text("email", Self.emailLimitCharacters, &members)
        try members.finish()
    }

    private static func password(_ members: inout MemberReader) throws(JSONFault) -> [UInt8]? {
        guard
            let text = try members.optionalString("password", charactersUpTo: Credentials.passwordLimitCharacters)
        else { return nil }
        guard Credentials.isGoodPassword(text) else {
            throw members.fault(
                "\"password\" must have \(Credentials.passwordLeastCharacters) characters or more", at: "password")
        }
        return Credentials.normalized(text)
    }

    private static func text(
        _ name: String, _ limit: Int, _ members: inout MemberReader
    ) throws(JSONFault) -> String?? {
        guard let node = members.take(name) else { return .none }
        if case .null = node.value { return .some(nil) }
        return try members.visibleString(name, charactersUpTo: limit)
    }

    /// The user as this request makes him.
    func entry(named name: String, passwordHash: String) -> SecretsFile.Entry {
        SecretsFile.Entry(
            name: name, displayName: (displayName ?? nil) ?? name, email: email ?? nil, passwordHash: passwordHash,
            disabled: disabled ?? false, roles: roles ?? [])
    }

    func apply(to user: inout SecretsFile.Entry, passwordHash: String?) {
        if let passwordHash { user.passwordHash = passwordHash }
        if let roles { user.roles = roles }
        if let disabled { user.disabled = disabled }
        if let displayName { user.displayName = displayName ?? user.name }
        if let email { user.email = email }
    }

    /// What an audit line says about it: names of what changed, and values that are no secret.
    var summary: [String: String] {
        var summary: [String: String] = [:]
        summary["roles"] = roles?.joined(separator: " ")
        summary["disabled"] = disabled.map { "\($0)" }
        return summary
    }
}
