// Where the peppers of passwords come from: files, the vault, or nowhere.
import Foundation
import Logging

/// The setting `password_peppers`.
enum PepperSource: Sendable {
    case files([String])
    case vault

    /// `none`, `vault` or files; nil for what is none of these.
    init?(_ text: String) {
        if text == "vault" {
            self = .vault
        } else if let paths = Settings.paths(text) {
            self = .files(paths)
        } else {
            return nil
        }
    }

    var isVault: Bool { if case .vault = self { true } else { false } }

    /// For the backend: the peppers of a vault come with its keys.
    func hashing() throws(StartupFailure) -> PasswordHashing {
        switch self {
        case .files(let paths): try PasswordHashing(files: paths)
        case .vault: PasswordHashing()
        }
    }
}

extension Settings {
    /// For a command, which asks the vault itself.
    func passwordHashing() async throws -> PasswordHashing {
        let hashing = try passwordPeppers.hashing()
        guard passwordPeppers.isVault, let vault else { return hashing }
        let source = VaultKeys(
            try VaultClient(vault, logger: Logger(label: "vault") { _ in SwiftLogNoOpLogHandler() }),
            accessTokenLifetime: accessTokenLifetime, needsPepper: true)
        _ = try await source.current()
        hashing.replace(with: await source.peppers)
        return hashing
    }
}
