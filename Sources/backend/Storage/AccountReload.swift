// Re-reads the users and the roles when one of their files has changed; a bad file changes nothing.
import Foundation
import Logging
import ServiceLifecycle

struct AccountReload: Service {
    /// What differs after a file was written or replaced.
    private struct Stamp: Equatable {
        let changed: Date?
        let size: Int?
        let number: Int?

        init(_ path: String) {
            let file = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
            let attributes = try? FileManager.default.attributesOfItem(atPath: file)
            changed = attributes?[.modificationDate] as? Date
            size = (attributes?[.size] as? NSNumber)?.intValue
            number = (attributes?[.systemFileNumber] as? NSNumber)?.intValue
        }
    }

    private static let pauseSeconds = 1

    private let files: AccountFiles
    /// What the files looked like before they were read at the start.
    private let first: [Stamp]
    private let importing: AccountFiles.Importing
    private let sessions: any SessionStore
    private let logger: Logger

    /// Made before the files are read for the first time, so that no change falls between.
    init(
        files: AccountFiles, importing: @escaping AccountFiles.Importing, sessions: any SessionStore, logger: Logger
    ) {
        self.files = files
        self.importing = importing
        self.sessions = sessions
        self.logger = logger
        first = Self.stamps(files)
    }

    private static func stamps(_ files: AccountFiles) -> [Stamp] {
        [files.secrets, files.permissions].map(Stamp.init)
    }

    func run() async throws {
        var seen = first
        while !Task.isShuttingDownGracefully, !Task.isCancelled {
            try? await cancelWhenGracefulShutdown { try await Task.sleep(for: .seconds(Self.pauseSeconds)) }
            let now = Self.stamps(files)
            guard now != seen else { continue }
            if await reload() { seen = now }
        }
    }

    /// One bad line must not log everybody out: what was read before stays. False when it was not the files' fault, and
    /// the same files are to be tried again.
    private func reload() async -> Bool {
        var areGood = false
        do throws(StartupFailure) {
            try files.importing { accounts throws(StartupFailure) in
                areGood = true
                try importing(accounts)
            }
        } catch {
            logger.error("users and roles stay as they were", metadata: ["error": "\(error)"])
            return !areGood
        }
        // Whatever becomes of it, it is written down and tried again.
        try? await sessions.settle()
        logger.notice("users and roles were re-read")
        return true
    }
}
