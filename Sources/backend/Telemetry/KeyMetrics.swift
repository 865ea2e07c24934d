// What an operator watches about the signing keys: how many there are of each kind, how old, and whether they can be had.
import Foundation

struct KeyMetrics: Sendable {
    private static let failures = "backend_signing_key_failures_total"

    private static let vaultFailures = "backend_vault_failures_total"

    private let registry: MetricRegistry

    /// Declares the metrics of these keys; `rotation` is the age at which they are replaced, zero: only by command.
    init(_ keys: KeyService, rotation: Lifetime, registry: MetricRegistry) {
        self.registry = registry
        registry.counter(
            Self.failures, "Keys that could not be read, and rotations that were due and refused.",
            labels: ["read", "rotate"].map { "action=\"\($0)\"" })
        registry.gauge("backend_signing_keys", "Keys by their state.") {
            let ring = keys.ring
            let retired = ring.current(at: Int64(Date.now.timeIntervalSince1970))
            return [
                "state=\"active\"": ring.active == nil ? 0 : 1, "state=\"next\"": ring.next == nil ? 0 : 1,
                "state=\"retired\"": Double(retired.count),
            ]
        }
        registry.gauge("backend_signing_key_age_seconds", "Since when the active key signs.") {
            keys.ring.activeSince.map { ["": Self.age($0)] } ?? [:]
        }
        registry.gauge(
            "backend_signing_key_overdue_seconds", "How long ago the active key should have been rotated by its age."
        ) {
            guard rotation.seconds > 0, let since = keys.ring.activeSince else { return ["": 0] }
            return ["": max(0, Self.age(since) - Double(rotation.seconds))]
        }
        registry.gauge("backend_signing_available", "Whether tokens can be signed: 1, or 0.") {
            do throws(Problem) {
                try keys.requireSigning()
                return ["": 1]
            } catch {
                return ["": 0]
            }
        }
        registry.gauge(
            "backend_signing_key_source_failing_seconds", "How long the keys could not be read; 0 while they can."
        ) {
            ["": Double(keys.failing.components.seconds) + Double(keys.failing.components.attoseconds) / 1e18]
        }
    }

    func countFailure(to action: String) {
        registry.add(Self.failures, label: "action=\"\(action)\"")
    }

    /// Declares the counter of what a vault answers instead of keys.
    func watchVault() {
        registry.counter(
            Self.vaultFailures, "Keys that the vault did not give, by the reason.",
            labels: VaultFailure.reasons.map { "reason=\"\($0)\"" })
    }

    func countVaultFailure(_ failure: VaultFailure) {
        registry.add(Self.vaultFailures, label: "reason=\"\(failure.reason)\"")
    }

    private static func age(_ since: Date) -> Double { max(0, Date.now.timeIntervalSince(since)) }
}
