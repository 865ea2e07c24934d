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

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Adds a user; asks for the password.")

        @ParentCommand var users: UserCommand
        @Argument(help: "The login name.") var name: String
        @Option(help: "A role; may be given several times.") var role: [String] = []
        @Option(help: "The name that people see.") var displayName: String?
        @Option(help: "The mail address.") var email: String?
        @Flag(help: "Add a user who cannot log in yet.") var disabled = false

        func run() async throws {
            let done = Done(
                .userCreated, of: name, "the user \(name) was added", ["roles": role.joined(separator: " ")])
            try await users.change(done, asksPassword: true, makesFile: true) { accounts, hash in
                try accounts.add(
                    SecretsFile.Entry(
                        name: name, displayName: displayName ?? name, email: email, passwordHash: hash,
                        disabled: disabled, roles: role))
            }
        }
    }

    struct Passwd: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Asks for a new password and ends the user's sessions.")

        @ParentCommand var users: UserCommand
        @Argument(help: "The login name.") var name: String

        func run() async throws {
            let done = Done(.passwordSet, of: name, "the user \(name) has a new password")
            try await users.change(done, asksPassword: true) { accounts, hash in
                try accounts.changeUser(name) { $0.passwordHash = hash }
            }
        }
    }

    struct Disable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Ends the user's sessions and lets him log in no more.")

        @ParentCommand var users: UserCommand
        @Argument(help: "The login name.") var name: String
        @Flag(help: "Even the last one who may administrate.") var force = false

        func run() async throws {
            let done = Done(.userChanged, of: name, "the user \(name) is disabled", ["disabled": "true"])
            try await users.change(done) { accounts, _ in
                let hadAdministrator = accounts.haveAdministrator
                try accounts.changeUser(name) { $0.disabled = true }
                guard force || !hadAdministrator || accounts.haveAdministrator else { throw Problem.lastAdministrator }
            }
        }
    }

    struct Enable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lets a disabled user log in again.")

        @ParentCommand var users: UserCommand
        @Argument(help: "The login name.") var name: String

        func run() async throws {
            let done = Done(.userChanged, of: name, "the user \(name) is enabled", ["disabled": "false"])
            try await users.change(done) { accounts, _ in
                try accounts.changeUser(name) { $0.disabled = false }
            }
        }
    }

    /// What a change comes to: for the audit log, and for whoever reads the terminal.
    fileprivate struct Done {
        let event: AuditEvent
        let subject: String
        let text: String
        let more: [String: String]

        init(_ event: AuditEvent, of subject: String, _ text: String, _ more: [String: String] = [:]) {
            (self.event, self.subject, self.text, self.more) = (event, subject, text, more)
        }
    }

    /// Makes one change, which may need the hash of a new password, and says so.
    fileprivate func change(
        _ done: Done, asksPassword: Bool = false, makesFile: Bool = false,
        _ change: (inout Accounts, String) throws -> Void
    ) async throws {
        umask(0o077)
        do {
            let settings = try backend.settings()
            let logger = Logger(label: "backend", factory: { LogLines(label: $0) })
            let hashing = asksPassword ? try await settings.passwordHashing() : try settings.passwordPeppers.hashing()
            let files = AccountFiles(
                secrets: settings.secrets, permissions: settings.permissions, hashing: hashing, logger: logger)
            if makesFile { try files.provideSecrets() }
            var hash = ""
            if asksPassword {
                // A wrong name is told before anybody types a password.
                var trial = try files.accounts()
                try change(&trial, hash)
                hash = hashing.hash(try PasswordPrompt.newPassword())
            }
            try files.change { try change(&$0, hash) }
            // Nobody has signed in here: who it was is what the system says.
            AuditLog(logger: logger, metrics: MetricRegistry()).record(
                done.event, subject: done.subject, actor: "\(NSUserName())@localhost", done.more)
            FileHandle.standardOutput.write(Data("\(settings.secrets): \(done.text)\n".utf8))
        } catch {
            let reason = (error as? Problem)?.detail ?? "\(error)"
            FileHandle.standardError.write(Data("backend: \(reason)\n".utf8))
            throw ExitCode.failure
        }
    }
}
