// The signing keys in their three states: next is published but does not sign, active signs, retired only verifies.

struct KeyRing: Sendable {
    /// A key that no longer signs; it is published until the last token that it signed has expired.
    struct Retired: Sendable {
        let key: VerificationKey
        /// Seconds since 1970.
        let until: Int64
    }

    let active: SigningKey
    /// Absent where the folder of the keys cannot be written.
    let next: VerificationKey?
    let retired: [Retired]

    /// Every key that may have signed a current token or may sign one soon, the active one first.
    func published(at now: Int64) -> [VerificationKey] {
        var keys = [active.verification]
        if let next { keys.append(next) }
        for old in retired where now < old.until { keys.append(old.key) }
        return keys
    }
}
