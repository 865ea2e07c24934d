// `backend keys rotate`: the next key signs from now on; a backend that runs on the same files follows within a second.
import ArgumentParser
import Foundation
import Logging

struct KeysCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys", abstract: "The signing keys.", subcommands: [Rotate.self])

    /// Its settings, which say where the keys are, stand among the flags here too.
    @ParentCommand var backend: BackendCommand

    struct Rotate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes the next key the active one; a backend that runs follows within a second.")

        @ParentCommand var keys: KeysCommand
        @Flag(help: "Rotate although gateways may not know the next key yet, as after a leak.") var force = false

        func run() async throws {
            umask(0o077)
            do {
                let settings = try keys.backend.settings()
                guard settings.hs256Secrets.isEmpty else {
                    throw StartupFailure("secrets are rotated by putting a new file before the others in hs256_secrets")
                }
                let publishedSeconds = force ? 0 : settings.keySetMaxAge.seconds
                if let vault = settings.vault {
                    let source = VaultKeys(
                        try VaultClient(vault, logger: Logger(label: "keys") { _ in SwiftLogNoOpLogHandler() }),
                        accessTokenLifetime: settings.accessTokenLifetime)
                    return try await source.rotate(publishedSeconds: publishedSeconds, now: .now)
                }
                let now = Date.now
                try await KeyFiles(privateKey: settings.privateKey, publicKey: settings.publicKey).rotate(
                    retiredUntil: KeyRotation.retiredUntil(now, accessTokenLifetime: settings.accessTokenLifetime),
                    publishedSeconds: publishedSeconds, now: now)
            } catch {
                FileHandle.standardError.write(Data("backend: \(error)\n".utf8))
                throw ExitCode.failure
            }
        }
    }
}
