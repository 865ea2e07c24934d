// Where the signing keys come from: pairs in files, secrets in files, or a vault.
import Foundation
import Logging
import ServiceLifecycle

struct KeySource {
    let settings: Settings
    /// Takes the peppers of a vault, which come with the keys.
    let hashing: PasswordHashing
    let database: Database
    let metrics: MetricRegistry
    let audit: AuditLog
    let logger: Logger

    /// The keys, and what keeps them current.
    func open() async throws(StartupFailure) -> (keys: KeyService, followers: [any Service]) {
        if !settings.hs256Secrets.isEmpty { return try await openSecrets(settings.hs256Secrets) }
        if let vault = settings.vault { return try await openVault(vault) }
        return try await openFiles()
    }

    private func openSecrets(
        _ paths: [String]
    ) async throws(StartupFailure) -> (keys: KeyService, followers: [any Service]) {
        let contents = try FileFollower.contents(of: paths)
        let keys = KeyService(try await KeyRing(secrets: paths))
        let keyMetrics = KeyMetrics(keys, rotation: .zero, registry: metrics)
        let follower = FileFollower(paths: paths, subject: "the signing secrets", contents: contents, logger: logger) {
            [audit] _ throws(StartupFailure) in
            do throws(StartupFailure) {
                let ring = try await KeyRing(secrets: paths)
                keys.replace(with: ring)
                audit.record(.keyRotated, ["kid": ring.active?.verification.id ?? "none"])
            } catch {
                keys.noteFailure()
                keyMetrics.countFailure(to: "read")
                throw error
            }
        }
        return (keys, [follower])
    }

    /// A vault that is away does not keep us from starting: tokens are verified with what it gave before.
    private func openVault(
        _ vault: VaultSettings
    ) async throws(StartupFailure) -> (keys: KeyService, followers: [any Service]) {
        let kept = PublishedKeyTable(
            database: database, signing: vault.keyMaxAge, accessTokenLifetime: settings.accessTokenLifetime,
            logger: logger)
        let keys = KeyService(await kept.ring(at: .now))
        let keyMetrics = KeyMetrics(keys, rotation: settings.keyRotation, registry: metrics)
        keyMetrics.watchVault()
        let source = VaultKeys(
            try VaultClient(vault, logger: logger), accessTokenLifetime: settings.accessTokenLifetime,
            needsPepper: settings.passwordPeppers.isVault)
        let refresh = VaultRefresh(
            source: source, keys: keys, hashing: settings.passwordPeppers.isVault ? hashing : nil, kept: kept,
            refresh: vault.refresh, keyMaxAge: vault.keyMaxAge,
            rotation: settings.keyRotation, keySetMaxAge: settings.keySetMaxAge, metrics: keyMetrics,
            audit: audit, logger: logger)
        var troubles = VaultRefresh.Troubles()
        if await refresh.read(&troubles), keys.ring.next == nil {
            do throws(VaultFailure) {
                try await source.provideNext()
                _ = await refresh.read(&troubles)
            } catch {
                logger.warning("there is no next signing key", metadata: ["error": "\(error)"])
            }
        }
        return (keys, [refresh])
    }

    private func openFiles() async throws(StartupFailure) -> (keys: KeyService, followers: [any Service]) {
        let files = KeyFiles(privateKey: settings.privateKey, publicKey: settings.publicKey)
        let keys = KeyService(try await ring(files))
        let rotation = KeyRotation(
            files: files, keys: keys, accessTokenLifetime: settings.accessTokenLifetime, age: settings.keyRotation,
            keySetMaxAge: settings.keySetMaxAge,
            metrics: KeyMetrics(keys, rotation: settings.keyRotation, registry: metrics), audit: audit,
            logger: logger)
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
