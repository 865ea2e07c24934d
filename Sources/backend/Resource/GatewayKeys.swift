// The public keys of the gateway's identity tokens, read again when their files change.
import Logging
import Synchronization

final class GatewayKeys: VerificationKeys {
    private let keys: Mutex<[VerificationKey]>
    let paths: [String]
    private let contents: [[UInt8]]

    var verificationKeys: [VerificationKey] { keys.withLock { $0 } }

    init(paths: [String]) async throws(StartupFailure) {
        self.paths = paths
        contents = try FileFollower.contents(of: paths)
        keys = Mutex(try await Self.parse(contents, paths))
    }

    /// What keeps them current.
    func follower(logger: Logger) -> FileFollower {
        FileFollower(paths: paths, subject: "the gateway's keys", contents: contents, logger: logger) {
            [self] contents throws(StartupFailure) in
            let new = try await Self.parse(contents, paths)
            keys.withLock { $0 = new }
        }
    }

    private static func parse(
        _ contents: [[UInt8]], _ paths: [String]
    ) async throws(StartupFailure) -> [VerificationKey] {
        var keys: [VerificationKey] = []
        for (path, bytes) in zip(paths, contents) {
            do throws(StartupFailure) {
                keys.append(try await VerificationKey(pem: String(decoding: bytes, as: UTF8.self)))
            } catch {
                throw StartupFailure("\(path): \(error)")
            }
        }
        return keys
    }
}
