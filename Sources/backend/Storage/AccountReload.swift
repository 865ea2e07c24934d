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

    private let files: [String]
    /// What the files looked like before they were read at the start.
    private let first: [Stamp]
    private let read: @Sendable () throws(StartupFailure) -> AccountImport
    private let database: Database
    private let revocations: RevocationStore
    private let logger: Logger

    /// Made before the files are read for the first time, so that no change falls between.
    init(
        files: [String], database: Database, revocations: RevocationStore, logger: Logger,
        read: @escaping @Sendable () throws(StartupFailure) -> AccountImport
    ) {
        self.files = files
        self.database = database
        self.revocations = revocations
        self.logger = logger
        self.read = read
        first = files.map(Stamp.init)
    }

    func run() async throws {
        var seen = first
        while !Task.isShuttingDownGracefully, !Task.isCancelled {
            try? await cancelWhenGracefulShutdown { try await Task.sleep(for: .seconds(Self.pauseSeconds)) }
            let now = files.map(Stamp.init)
            guard now != seen else { continue }
            seen = now
            reload()
        }
    }

    /// One bad line must not log everybody out: what was read before stays.
    private func reload() {
        do throws(StartupFailure) {
            try read().run(in: database, revocations: revocations, nowMilliseconds: Date.now.milliseconds)
            logger.notice("users and roles were re-read")
        } catch {
            logger.error("users and roles stay as they were", metadata: ["error": "\(error)"])
        }
    }
}
