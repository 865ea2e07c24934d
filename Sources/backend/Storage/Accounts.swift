// The users and roles as the two files have them, and the changes that an administrator makes to them.
import HTTPTypes

struct Accounts: Sendable {
    /// What a role must permit for its users to change users and roles.
    static let administration = "write:admin_panel"
    /// Who holds one of these could give himself the others, were they not guarded.
    static let guarded: Set<String> = ["read:admin_panel", administration, "delete:users"]

    var roles: [PermissionsFile.Role]
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

    // Users

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

    mutating func removeUser(_ name: String) throws(Problem) {
        guard let index = index(ofUser: name) else { throw .userNotFound }
        users.remove(at: index)
    }

    // Roles

    func requireRoles(_ names: [String]) throws(Problem) {
        guard let stranger = names.first(where: { role(named: $0) == nil }) else { return }
        throw .roleNotFound(stranger, member: "roles")
    }

    mutating func add(_ role: PermissionsFile.Role) throws(Problem) {
        guard self.role(named: role.name) == nil else { throw .roleExists(role.name) }
        roles.append(role)
    }

    mutating func changeRole(_ name: String, permissions: [String]) throws(Problem) {
        guard let index = roles.firstIndex(where: { $0.name == name }) else { throw .roleNotFound(name) }
        roles[index].permissions = permissions
    }

    mutating func removeRole(_ name: String) throws(Problem) {
        guard let index = roles.firstIndex(where: { $0.name == name }) else { throw .roleNotFound(name) }
        roles.remove(at: index)
        try requireGrantedRoles()
    }

    /// Other roles in the place of all.
    mutating func replaceRoles(_ roles: [PermissionsFile.Role]) throws(Problem) {
        self.roles = roles
        try requireGrantedRoles()
    }

    /// A role that users have must not vanish under them.
    private func requireGrantedRoles() throws(Problem) {
        for user in users {
            if let missing = user.roles.first(where: { role(named: $0) == nil }) { throw .roleInUse(missing) }
        }
    }

    // Permissions

    func roles(permitting permission: String) -> [String] {
        roles.filter { $0.permissions.contains(permission) }.map(\.name)
    }

    /// Gives the permission to exactly these roles.
    mutating func grant(_ permission: String, to names: [String]) throws(Problem) {
        try requireRoles(names)
        for index in roles.indices {
            let had = roles[index].permissions.contains(permission)
            let has = names.contains(roles[index].name)
            if has, !had { roles[index].permissions.append(permission) }
            if had, !has { roles[index].permissions.removeAll { $0 == permission } }
        }
    }

    /// The guarded permissions that this change gives or takes, or whose holders it touches.
    func guardedPermissions(changedFrom before: Accounts) -> Set<String> {
        var touched: Set<String> = []
        let oldUsers = Dictionary(uniqueKeysWithValues: before.users.map { ($0.name, $0) })
        let newUsers = Dictionary(uniqueKeysWithValues: users.map { ($0.name, $0) })
        for name in Set(oldUsers.keys).union(newUsers.keys) where oldUsers[name] != newUsers[name] {
            if let old = oldUsers[name] { touched.formUnion(before.permissions(of: old)) }
            if let new = newUsers[name] { touched.formUnion(permissions(of: new)) }
        }
        for name in Set(before.roles.map(\.name) + roles.map(\.name)) {
            let old = before.role(named: name)?.permissions ?? []
            let new = role(named: name)?.permissions ?? []
            touched.formUnion(Set(old).symmetricDifference(new))
        }
        return touched.intersection(Self.guarded)
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

    static func roleExists(_ name: String) -> Problem {
        Problem(status: .conflict, code: "role_exists", detail: "there is a role \"\(name)\" already", member: "name")
    }

    static func roleInUse(_ name: String) -> Problem {
        Problem(status: .conflict, code: "role_in_use", detail: "there are users who have the role \"\(name)\"")
    }

    static let lastAdministrator = Problem(
        status: .conflict, code: "last_administrator",
        detail: "nobody who can log in would have \(Accounts.administration) any more")
}
