// The routes that administrate users.
import Foundation
import Hummingbird

struct UserRoutes: AccountRoutes {
    struct Answer: Encodable {
        fileprivate let account: AccountTable.Account

        private enum CodingKeys: String, CodingKey {
            case name
            case displayName = "display_name"
            case email, disabled, roles, permissions, sessions
        }

        func encode(to encoder: any Encoder) throws {
            var members = encoder.container(keyedBy: CodingKeys.self)
            try members.encode(account.name, forKey: .name)
            try members.encode(account.displayName, forKey: .displayName)
            // null where there is none
            try members.encode(account.email, forKey: .email)
            try members.encode(account.disabled, forKey: .disabled)
            try members.encode(account.roles, forKey: .roles)
            try members.encode(account.permissions, forKey: .permissions)
            try members.encode(account.sessions, forKey: .sessions)
        }
    }

    static let kind = "users"
    static let deleting = "delete:users"

    let access: AdminAccess
    let administration: AccountAdministration
    let accounts: AccountTable
    let hasher: PasswordHasher

    static func notFound(_ name: String) -> Problem { .userNotFound }

    func add(to router: some RouterMethods<AuthCall>) { addAll(to: router) }

    func answers(named name: String?) async throws -> [Answer] {
        try await accounts.accounts(named: name, nowMilliseconds: Date.now.milliseconds).map { Answer(account: $0) }
    }

    func creation(_ body: JSONNode) async throws -> AccountChange {
        let wanted = try UserRequest.creation(body)
        guard let name = wanted.name, let password = wanted.password else { throw Problem.userNotFound }
        let user = wanted.entry(named: name, passwordHash: try await hasher.hash(password))
        let entry = AccountChange.Entry(event: .userCreated, subject: name, more: wanted.summary)
        return AccountChange(name: name, entries: [entry]) { try $0.add(user) }
    }

    func change(of name: String, _ body: JSONNode) async throws -> AccountChange {
        let wanted = try UserRequest.change(body)
        guard try await accounts.account(named: name, nowMilliseconds: 0) != nil else { throw Problem.userNotFound }
        let hash = if let password = wanted.password { try await hasher.hash(password) } else { String?.none }
        var entries = [AccountChange.Entry(event: .userChanged, subject: name, more: wanted.summary)]
        if hash != nil { entries.insert(AccountChange.Entry(event: .passwordSet, subject: name), at: 0) }
        return AccountChange(name: name, entries: entries) { accounts in
            try accounts.changeUser(name) { wanted.apply(to: &$0, passwordHash: hash) }
        }
    }

    func deletion(of name: String) -> AccountChange {
        let entry = AccountChange.Entry(event: .userDeleted, subject: name)
        return AccountChange(name: name, entries: [entry]) { try $0.removeUser(name) }
    }
}
