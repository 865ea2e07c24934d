// `backend backup FILE`: a copy of the database, also while a backend runs on it.
import ArgumentParser
import Foundation

struct BackupCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup", abstract: "Copies the database to a new file, while a backend runs or not.")

    /// Its settings, which say where the database is, stand among the flags here too.
    @ParentCommand var backend: BackendCommand
    @Argument(help: "The copy, which must not exist.") var file: String

    func run() throws {
        // It holds password hashes.
        umask(0o077)
        do {
            try DatabaseBackup(source: backend.settings().database).write(to: file)
        } catch {
            FileHandle.standardError.write(Data("backend: \(error)\n".utf8))
            throw ExitCode.failure
        }
    }
}
