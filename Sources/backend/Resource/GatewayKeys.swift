// The public keys of the gateway's identity tokens, read again when their files change.
import Foundation
import Logging
import ServiceLifecycle
import Synchronization

final class GatewayKeys: VerificationKeys, Service {
    private struct Reading {
        let contents: [[UInt8]]
        let keys: [VerificationKey]
    }

    private static let pauseSeconds = 1

    private let paths: [String]
    private let logger: Logger
    private let reading: Mutex<Reading>

    var verificationKeys: [VerificationKey] { reading.withLock(\.keys) }

    init(paths: [String], logger: Logger) async throws(StartupFailure) {
        self.paths = paths
        self.logger = logger
        reading = Mutex(try await Self.parse(Self.contents(of: paths), paths))
    }

    func run() async throws {
        var complaint: String?
        while !Task.isShuttingDownGracefully, !Task.isCancelled {
            try? await cancelWhenGracefulShutdown { try await Task.sleep(for: .seconds(Self.pauseSeconds)) }
            do throws(StartupFailure) {
                try await follow()
                complaint = nil
            } catch {
                // Once for each mistake, not each second.
                guard complaint != "\(error)" else { continue }
                complaint = "\(error)"
                logger.error("the gateway's keys stay as they were", metadata: ["error": "\(error)"])
            }
        }
    }

    private func follow() async throws(StartupFailure) {
        let contents = try Self.contents(of: paths)
        guard contents != reading.withLock(\.contents) else { return }
        let new = try await Self.parse(contents, paths)
        reading.withLock { $0 = new }
        logger.notice("the gateway's keys were re-read")
    }

    private static func contents(of paths: [String]) throws(StartupFailure) -> [[UInt8]] {
        var contents: [[UInt8]] = []
        for path in paths { contents.append(try FileReading.bytes(of: path)) }
        return contents
    }

    private static func parse(_ contents: [[UInt8]], _ paths: [String]) async throws(StartupFailure) -> Reading {
        var keys: [VerificationKey] = []
        for (path, bytes) in zip(paths, contents) {
            do throws(StartupFailure) {
                keys.append(try await VerificationKey(pem: String(decoding: bytes, as: UTF8.self)))
            } catch {
                throw StartupFailure("\(path): \(error)")
            }
        }
        return Reading(contents: contents, keys: keys)
    }
}
