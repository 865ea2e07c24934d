// The users and roles as the two files have them, and the changes that an administrator makes to them.
import HTTPTypes

struct Accounts: Sendable {
    /// What a role must permit for its users to change users and roles.
    static let administration = "write:admin_panel"

    private(set) var roles: [PermissionsFile.Role]
    private(set) var users: [SecretsFile.Entry]

    init(roles: PermissionsFile, users: SecretsFile) {
        self.roles = roles.roles
        self.users = users.users
    }

    /// The user of this exact name; `==` would also take another spelling of the same characters for him.
    func user(named name: String) -> SecretsFile.Entry? { index(ofUser: name).map { users[$0] } }

    private func index(ofUser name: String) -> Int? {
        users.firstIndex { $0.name.utf8.elementsEqual(name.utf8) }
    }

    func role(named name: String) -> PermissionsFile.Role? { roles.first { $0.name == name } }

    /// What the user may do while he is enabled.
    func permissions(of user: SecretsFile.Entry) -> Set<String> {
        Set(roles.filter { user.roles.contains($0.name) }.flatMap(\.permissions))
    }

    /// Whether somebody who can log in may change users and roles.
    var haveAdministrator: Bool {
        users.contains { !$0.disabled && permissions(of: $0).contains(Self.administration) }
    }

    mutating func add(_ user: SecretsFile.Entry) throws(Problem) {
        guard SecretsFile.Entry.isGoodName(user.name) else { throw .userNameRefused }
        guard !users.contains(where: { $0.name == user.name }) else { throw .userExists(user.name) }
        try requireRoles(user.roles)
        users.append(user)
    }

    mutating func changeUser(
        _ name: String, _ change: (inout SecretsFile.Entry) -> Void
    ) throws(Problem) {
        guard let index = index(ofUser: name) else { throw .userNotFound }
        change(&users[index])
        try requireRoles(users[index].roles)
    }

    func requireRoles(_ names: [String]) throws(Problem) {
        guard let stranger = names.first(where: { role(named: $0) == nil }) else { return }
        throw .roleNotFound(stranger, member: "roles")
    }
}

extension Problem {
    static let userNotFound = Problem(
        status: .notFound, code: "user_not_found", detail: "there is no user of this name")

    static let userNameRefused = Problem(
        status: .badRequest, code: "invalid_request",
        detail: "the name of a user must not contain a slash, nor be a dot or two", member: "name")

    static func userExists(_ name: String) -> Problem {
        Problem(status: .conflict, code: "user_exists", detail: "there is a user \"\(name)\" already", member: "name")
    }

    static func roleNotFound(_ name: String, member: String? = nil) -> Problem {
        Problem(status: .notFound, code: "role_not_found", detail: "there is no role \"\(name)\"", member: member)
    }

    static let lastAdministrator = Problem(
        status: .conflict, code: "last_administrator",
        detail: "nobody who can log in would have \(Accounts.administration) any more")
}
