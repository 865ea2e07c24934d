// Reads the keys from the vault again and again, renews our token on the way, and rotates the keys when they are old enough.
import Foundation
import Logging
import ServiceLifecycle

struct VaultRefresh: Service {
    let source: VaultKeys
    let keys: KeyService
    /// Takes the peppers of passwords that lie beside the keys; nil where they are not asked for.
    let hashing: PasswordHashing?
    let kept: PublishedKeyTable
    let refresh: Lifetime
    /// How long a key signs after the vault last gave it.
    let keyMaxAge: Lifetime
    /// The age at which the active key is replaced; zero: only by command.
    let rotation: Lifetime
    let keySetMaxAge: Lifetime
    let metrics: KeyMetrics
    let audit: AuditLog
    let logger: Logger

    private static let longestPause = Duration.seconds(30)

    /// What went wrong since it last went well, so that each failure is logged once.
    struct Troubles {
        private var seen: Set<String> = []
        /// Doubled with each failure.
        private(set) var pause = Duration.seconds(1)

        mutating func isNew(_ failure: VaultFailure) -> Bool {
            pause = min(pause * 2, VaultRefresh.longestPause)
            return seen.insert(failure.description).inserted
        }
    }

    func run() async throws {
        var troubles = Troubles()
        var attempts = RotationAttempts()
        // The keys were read at the start, or could not be.
        var wasRead = keys.ring.active != nil
        while !Task.isShuttingDownGracefully, !Task.isCancelled {
            let pause = wasRead ? await untilNextRead : min(troubles.pause, .seconds(refresh.seconds))
            try? await cancelWhenGracefulShutdown { try await Task.sleep(for: pause) }
            if Task.isShuttingDownGracefully { return }
            wasRead = await read(&troubles)
            if wasRead, isDue { await rotate(&attempts) }
        }
    }

    /// Takes what the vault has now; when it has nothing to give, the keys of before go on until they are too old.
    func read(_ troubles: inout Troubles) async -> Bool {
        let asked = ContinuousClock.now
        do throws(VaultFailure) {
            let ring = try await source.current()
            // Before anybody can be logged in, which needs a key.
            hashing?.replace(with: await source.peppers)
            let before = keys.ring.active?.verification.id
            keys.replace(with: ring, signsUntil: asked + .seconds(keyMaxAge.seconds))
            let kid = ring.active?.verification.id
            if before != nil, kid != before { audit.record(.keyRotated, ["kid": kid ?? "none"]) }
            troubles = Troubles()
            await kept.keep(ring, given: .now)
            return true
        } catch {
            keys.noteFailure()
            metrics.countFailure(to: "read")
            metrics.countVaultFailure(error)
            if troubles.isNew(error) {
                logger.error("the keys cannot be read; those of before go on", metadata: ["error": "\(error)"])
            }
            return false
        }
    }

    /// The token may have to be renewed before the keys have to be read.
    private var untilNextRead: Duration {
        get async {
            let usual = Duration.seconds(refresh.seconds)
            guard let renewAt = await source.renewAt else { return usual }
            return max(.milliseconds(100), min(usual, renewAt - .now))
        }
    }

    private var isDue: Bool {
        guard rotation.seconds > 0, let since = keys.ring.activeSince else { return false }
        return Date.now.timeIntervalSince(since) >= Double(rotation.seconds)
    }

    private func rotate(_ attempts: inout RotationAttempts) async {
        let stamp = ["\(await source.version)"]
        guard attempts.isOpen(for: stamp, at: .now) else { return }
        do {
            try await source.rotate(publishedSeconds: keySetMaxAge.seconds, now: .now)
            var troubles = Troubles()
            _ = await read(&troubles)
        } catch {
            metrics.countFailure(to: "rotate")
            guard attempts.refuse("\(error)", stamp: stamp, at: .now) else { return }
            logger.error("the signing key is due but cannot be rotated yet", metadata: ["error": "\(error)"])
        }
    }
}
