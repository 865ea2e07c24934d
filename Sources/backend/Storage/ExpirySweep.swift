// Deletes what has expired, at a steady pace, until the backend shuts down.
import Foundation
import Logging
import ServiceLifecycle

struct ExpirySweep: Service {
    let store: any SessionStore
    let logger: Logger

    /// The grace is ten seconds: an encrypted successor outlives it by no more than this.
    private static let pauseSeconds = 5

    func run() async throws {
        while !Task.isShuttingDownGracefully, !Task.isCancelled {
            do {
                try await store.sweep(nowMilliseconds: Date.now.milliseconds)
            } catch {
                logger.error("what has expired could not be deleted", metadata: ["error": "\(error)"])
            }
            try? await cancelWhenGracefulShutdown { try await Task.sleep(for: .seconds(Self.pauseSeconds)) }
        }
    }
}

extension Date {
    /// Milliseconds since 1970, the unit of every time in the database.
    var milliseconds: Int64 { Int64((timeIntervalSince1970 * 1000).rounded(.down)) }

    /// A time of the database as answers have it, `2030-01-31T12:00:00Z`.
    static func text(milliseconds: Int64) -> String {
        Date(timeIntervalSince1970: Double(milliseconds / 1000)).formatted(.iso8601)
    }
}
