// The signing keys in their three states: next is published but does not sign, active signs, retired only verifies.
import Foundation

struct KeyRing: Sendable {
    /// A key that no longer signs; it is published until the last token that it signed has expired.
    struct Retired: Sendable {
        let key: VerificationKey
        /// Seconds since 1970.
        let until: Int64
    }

    /// Absent while no key could be had yet.
    let active: SigningKey?
    /// When the active key began to sign.
    let activeSince: Date?
    /// Absent where keys cannot be rotated.
    let next: VerificationKey?
    let retired: [Retired]

    /// Before any key could be had.
    static let empty = KeyRing(active: nil, activeSince: nil, next: nil, retired: [])

    /// Every key that may have signed a current token or may sign one soon, the active one first.
    func published(at now: Int64) -> [VerificationKey] {
        [active?.verification, next].compactMap { $0 } + current(at: now)
    }

    /// The retired keys that still verify.
    func current(at now: Int64) -> [VerificationKey] {
        retired.filter { now < $0.until }.map(\.key)
    }
}
