// `backend user add|passwd|disable|enable`: the users of secrets.json, changed without an editor and without a running backend.
import ArgumentParser
import Foundation
import Logging

struct UserCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "user", abstract: "The users.",
        discussion: """
            Passwords are asked for at the terminal, or read from the first line of a pipe; they are never arguments, \
            which every user of the machine can see. A backend that runs on the same files follows within a second.
            """,
        subcommands: [Add.self, Passwd.self, Disable.self, Enable.self])

    /// Its settings, which say where the files are, stand among the flags here too.
    @ParentCommand var backend: BackendCommand

    struct Add: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Adds a user; asks for the password.")

        @ParentCommand var users: UserCommand
        @Argument(help: "The login name.") var name: String
        @Option(help: "A role; may be given several times.") var role: [String] = []
        @Option(help: "The name that people see.") var displayName: String?
        @Option(help: "The mail address.") var email: String?
        @Flag(help: "Add a user who cannot log in yet.") var disabled = false

        func run() throws {
            try users.change("the user \(name) was added", asksPassword: true, makesFile: true) { accounts, hash in
                try accounts.add(
                    SecretsFile.Entry(
                        name: name, displayName: displayName ?? name, email: email, passwordHash: hash,
                        disabled: disabled, roles: role))
            }
        }
    }

    struct Passwd: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Asks for a new password and ends the user's sessions.")

        @ParentCommand var users: UserCommand
        @Argument(help: "The login name.") var name: String

        func run() throws {
            try users.change("the user \(name) has a new password", asksPassword: true) { accounts, hash in
                try accounts.changeUser(name) { $0.passwordHash = hash }
            }
        }
    }

    struct Disable: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Ends the user's sessions and lets him log in no more.")

        @ParentCommand var users: UserCommand
        @Argument(help: "The login name.") var name: String
        @Flag(help: "Even the last one who may administrate.") var force = false

        func run() throws {
            try users.change("the user \(name) is disabled") { accounts, _ in
                let hadAdministrator = accounts.haveAdministrator
                try accounts.changeUser(name) { $0.disabled = true }
                guard force || !hadAdministrator || accounts.haveAdministrator else { throw Problem.lastAdministrator }
            }
        }
    }

    struct Enable: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lets a disabled user log in again.")

        @ParentCommand var users: UserCommand
        @Argument(help: "The login name.") var name: String

        func run() throws {
            try users.change("the user \(name) is enabled") { accounts, _ in
                try accounts.changeUser(name) { $0.disabled = false }
            }
        }
    }

    /// Makes one change, which may need the hash of a new password, and says so.
    fileprivate func change(
        _ done: String, asksPassword: Bool = false, makesFile: Bool = false,
        _ change: (inout Accounts, String) throws -> Void
    ) throws {
        umask(0o077)
        do {
            let settings = try backend.settings()
            let files = AccountFiles(
                secrets: settings.secrets, permissions: settings.permissions,
                logger: Logger(label: "backend", factory: { StreamLogHandler.standardError(label: $0) }))
            if makesFile { try files.provideSecrets() }
            var hash = ""
            if asksPassword {
                // A wrong name is told before anybody types a password.
                var trial = try files.accounts()
                try change(&trial, hash)
                hash = Argon2id.hash(try PasswordPrompt.newPassword())
            }
            try files.change { try change(&$0, hash) }
            FileHandle.standardOutput.write(Data("\(settings.secrets): \(done)\n".utf8))
        } catch {
            let reason = (error as? Problem)?.detail ?? "\(error)"
            FileHandle.standardError.write(Data("backend: \(reason)\n".utf8))
            throw ExitCode.failure
        }
    }
}
