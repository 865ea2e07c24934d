// Tells Redis what changes of the database have ended, until the backend shuts down.
import Logging
import ServiceLifecycle

struct EndingRelay: Service {
    let store: any SessionStore
    let logger: Logger

    /// A change is felt at the gateways within a second.
    private static let pauseMilliseconds = 100

    func run() async throws {
        var isFailing = false
        while !Task.isShuttingDownGracefully, !Task.isCancelled {
            do {
                try await store.settle()
                isFailing = false
            } catch {
                // Nothing is lost: it stays written down.
                if !isFailing { logger.error("what was ended waits for Redis", metadata: ["error": "\(error)"]) }
                isFailing = true
            }
            try? await cancelWhenGracefulShutdown { try await Task.sleep(for: .milliseconds(Self.pauseMilliseconds)) }
        }
    }
}
