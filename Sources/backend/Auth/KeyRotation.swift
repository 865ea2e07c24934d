// Follows the files of the keys, which a command may rotate, and rotates them itself when the active key is old enough.
import Foundation
import Logging
import ServiceLifecycle

struct KeyRotation: Service {
    /// A token that was signed as the key went may reach a verifier with leeway, and this loop sees a rotation a second late.
    static let marginSeconds = 60

    let files: KeyFiles
    let keys: KeyService
    let accessTokenLifetime: Lifetime
    /// The age at which the active key is replaced; zero: only by command.
    let age: Lifetime
    let keySetMaxAge: Lifetime
    let metrics: KeyMetrics
    let audit: AuditLog
    let logger: Logger

    private static let pauseSeconds = 1

    func run() async throws {
        // What was read last; keys that could not be read are read again until they can.
        var read: [String] = []
        var unreadable: Set<String> = []
        var attempts = RotationAttempts()
        while !Task.isShuttingDownGracefully, !Task.isCancelled {
            files.sweepRetired(now: Int64(Date.now.timeIntervalSince1970))
            let before = files.stamp
            if isDue, attempts.isOpen(for: before, at: .now) { await rotate(&attempts) }
            let stamp = files.stamp
            if stamp != read, await reload(&unreadable) { read = stamp }
            try? await cancelWhenGracefulShutdown { try await Task.sleep(for: .seconds(Self.pauseSeconds)) }
        }
    }

    /// The end of publication for a key that stops signing now.
    static func retiredUntil(_ now: Date, accessTokenLifetime: Lifetime) -> Int64 {
        Int64(now.timeIntervalSince1970) + Int64(accessTokenLifetime.seconds + marginSeconds)
    }

    private var isDue: Bool {
        guard age.seconds > 0, let since = files.activeSince else { return false }
        return Date.now.timeIntervalSince(since) >= Double(age.seconds)
    }

    private func rotate(_ attempts: inout RotationAttempts) async {
        let now = Date.now
        do {
            try await files.rotate(
                retiredUntil: Self.retiredUntil(now, accessTokenLifetime: accessTokenLifetime),
                publishedSeconds: keySetMaxAge.seconds, now: now)
        } catch {
            metrics.countFailure(to: "rotate")
            guard attempts.refuse("\(error)", stamp: files.stamp, at: .now) else { return }
            logger.error("the signing key is due but cannot be rotated yet", metadata: ["error": "\(error)"])
        }
    }

    /// Takes what lies there; when it cannot be read, the keys of before go on.
    private func reload(_ unreadable: inout Set<String>) async -> Bool {
        do {
            let ring = try await files.ring()
            let before = keys.ring.active?.verification.id
            keys.replace(with: ring)
            let kid = ring.active?.verification.id
            if kid != before { audit.record(.keyRotated, ["kid": kid ?? "none"]) }
            unreadable = []
            return true
        } catch {
            keys.noteFailure()
            metrics.countFailure(to: "read")
            guard unreadable.insert("\(error)").inserted else { return false }
            logger.error("the keys cannot be read; those of before go on", metadata: ["error": "\(error)"])
            return false
        }
    }
}
