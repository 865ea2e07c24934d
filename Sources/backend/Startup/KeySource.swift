// Where the signing keys come from: pairs in files, or secrets in files.
import Foundation
import Logging
import ServiceLifecycle

struct KeySource {
    let settings: Settings
    let metrics: MetricRegistry
    let logger: Logger

    /// The keys, and what keeps them current.
    func open() async throws(StartupFailure) -> (keys: KeyService, followers: [any Service]) {
        if !settings.hs256Secrets.isEmpty {
            let keys = KeyService(try await KeyRing(secrets: settings.hs256Secrets))
            _ = KeyMetrics(keys, rotation: .zero, registry: metrics)
            return (keys, [])
        }
        return try await openFiles()
    }

    private func openFiles() async throws(StartupFailure) -> (keys: KeyService, followers: [any Service]) {
        let files = KeyFiles(privateKey: settings.privateKey, publicKey: settings.publicKey)
        let keys = KeyService(try await ring(files))
        let rotation = KeyRotation(
            files: files, keys: keys, accessTokenLifetime: settings.accessTokenLifetime, age: settings.keyRotation,
            keySetMaxAge: settings.keySetMaxAge,
            metrics: KeyMetrics(keys, rotation: settings.keyRotation, registry: metrics), logger: logger)
        return (keys, [rotation])
    }

    /// The key ring, with a next key made where there is none.
    private func ring(_ files: KeyFiles) async throws(StartupFailure) -> KeyRing {
        let ring = try await files.ring()
        guard ring.next == nil, let active = ring.active else { return ring }
        do {
            try files.provideNext(algorithm: active.verification.algorithmName)
        } catch {
            logger.warning("there is no next signing key", metadata: ["error": "\(error)"])
        }
        return try await files.ring()
    }
}
