// The files of users and roles: read together, changed one change at a time, and never left half written.
import Foundation
import Logging

struct AccountFiles: Sendable {
    /// Brings what the files say into the database.
    typealias Importing = @Sendable (AccountImport) throws(StartupFailure) -> Void

    let secrets: String
    let permissions: String
    /// For plain passwords, which do not stay there.
    let hashing: PasswordHashing
    let logger: Logger

    /// Reads both; plain passwords and secrets are replaced by their hashes. Whoever calls this holds the lock.
    func read() throws(StartupFailure) -> AccountImport {
        let roles = try PermissionsFile.read(permissions)
        let users = try SecretsFile.read(secrets, roles: roles, hashing: hashing)
        for name in users.replaced {
            logger.warning(
                "a plain password was replaced by its hash", metadata: ["file": "\(secrets)", "sub": "\(name)"])
        }
        for client in users.clients where client.replacement != nil {
            logger.warning(
                "a plain secret was replaced by its hash", metadata: ["file": "\(secrets)", "client": "\(client.id)"])
        }
        return AccountImport(roles: roles, users: users)
    }

    /// Makes a file without users where there is none, for the first of them.
    func provideSecrets() throws(StartupFailure) {
        let lock = try AccountFilesLock(beside: secrets)
        defer { lock.release() }
        guard !FileManager.default.fileExists(atPath: secrets) else { return }
        try FileReading.replacePrivately(secrets, with: Array("{\n  \"users\": []\n}\n".utf8))
    }

    /// What both say now.
    func accounts() throws(StartupFailure) -> Accounts {
        let lock = try? AccountFilesLock(beside: secrets)
        defer { lock?.release() }
        let found = try read()
        return Accounts(roles: found.roles, users: found.users)
    }

    /// Reads both in turn with others and hands them on; where the lock cannot be had nobody else can write either.
    func importing(_ work: (AccountImport) throws(StartupFailure) -> Void) throws(StartupFailure) {
        let lock = try? AccountFilesLock(beside: secrets)
        defer { lock?.release() }
        try work(try read())
    }

    /// Applies a change to the files and hands on what they say then, all before others get their turn.
    func change(
        _ change: (inout Accounts) throws -> Void, thenImport work: (AccountImport) throws -> Void = { _ in }
    ) throws {
        let lock = try AccountFilesLock(beside: secrets)
        defer { lock.release() }
        let found = try read()
        let before = Accounts(roles: found.roles, users: found.users)
        var after = before
        try change(&after)
        try write(after, over: before)
        try work(try read())
    }

    private func write(_ after: Accounts, over before: Accounts) throws(StartupFailure) {
        if after.roles != before.roles {
            let text = PermissionsFile.text(of: after.roles)
            try FileReading.replace(permissions, with: Array(text.utf8))
        }
        guard after.users != before.users else { return }
        let old = try FileReading.bytes(of: secrets)
        let text: [UInt8]
        do throws(JSONFault) {
            text = try SecretsText.replacing(before.users, by: after.users, in: old)
        } catch {
            throw StartupFailure(file: secrets, error)
        }
        // Never a file that the next start would refuse.
        try SecretsFile.check(text, path: secrets, roles: after.roles, hashing: hashing)
        try FileReading.replacePrivately(secrets, with: text)
    }
}
