// Reads a few small files again when their contents change, so that no restart is needed.
import Foundation
import Logging
import ServiceLifecycle

struct FileFollower: Service {
    private static let pauseSeconds = 1

    let paths: [String]
    /// What they hold, for log lines.
    let subject: String
    /// As they were when they were first read.
    let contents: [[UInt8]]
    let logger: Logger
    /// Takes over what they hold now; the older content stays in use when this throws.
    let take: @Sendable ([[UInt8]]) async throws(StartupFailure) -> Void

    func run() async throws {
        var contents = contents
        var complaint: String?
        while !Task.isShuttingDownGracefully, !Task.isCancelled {
            try? await cancelWhenGracefulShutdown { try await Task.sleep(for: .seconds(Self.pauseSeconds)) }
            do throws(StartupFailure) {
                let now = try Self.contents(of: paths)
                if now != contents {
                    try await take(now)
                    contents = now
                    logger.notice("\(subject) were re-read")
                }
                complaint = nil
            } catch {
                // Once for each mistake, not each second.
                guard complaint != "\(error)" else { continue }
                complaint = "\(error)"
                logger.error("\(subject) stay as they were", metadata: ["error": "\(error)"])
            }
        }
    }

    static func contents(of paths: [String]) throws(StartupFailure) -> [[UInt8]] {
        var contents: [[UInt8]] = []
        for path in paths { contents.append(try FileReading.bytes(of: path)) }
        return contents
    }
}
