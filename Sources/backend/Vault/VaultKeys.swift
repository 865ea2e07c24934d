// The signing keys in a secret of the vault: the newest version has the active and the next key, older ones the retired keys.
import Foundation

actor VaultKeys {
    /// No key is replaced more often within the lifetime of an access token.
    private static let retiredLimit = 8

    private let client: VaultClient
    /// How long tokens of a key are current after it stopped to sign.
    private let retirement: Lifetime
    private let needsPepper: Bool
    private var newest: VaultSecret?
    private var ring: KeyRing?
    /// Those of the version that was read last, the newest first.
    private(set) var peppers: [PasswordPepper] = []

    init(_ client: VaultClient, accessTokenLifetime: Lifetime, needsPepper: Bool = false) {
        self.client = client
        self.needsPepper = needsPepper
        retirement = accessTokenLifetime
    }

    /// When the vault wants to be asked again for its token's sake.
    var renewAt: ContinuousClock.Instant? { get async { await client.renewAt } }

    /// The version that was read last.
    var version: Int { newest?.version ?? 0 }

    /// The keys as they lie there now.
    func current() async throws(VaultFailure) -> KeyRing {
        let secret = try await client.secret()
        if let ring, secret.version == newest?.version, secret.created == newest?.created { return ring }
        let contents = try await VaultedKeys(secret)
        guard !needsPepper || !contents.peppers.isEmpty else {
            throw .unusable("version \(secret.version) of the secret: \"password_pepper\" is missing")
        }
        let ring = KeyRing(
            active: contents.active, activeSince: contents.since, next: contents.next?.verification,
            retired: try await retired(before: secret, active: contents.active))
        self.ring = ring
        peppers = contents.peppers
        newest = secret
        return ring
    }

    /// Adds a next key, of the active one's kind, where there is none.
    func provideNext() async throws(VaultFailure) {
        let secret = try await client.secret()
        let contents = try await VaultedKeys(secret)
        guard contents.next == nil, contents.active.verification.jwk != nil else { return }
        try await write(
            active: contents.texts.active, since: contents.since, algorithm: contents.active.verification.algorithmName,
            beside: contents.texts.peppers, after: secret)
    }

    /// next becomes active and a new next is made; the version of before keeps the retired key. Refuses a next key that
    /// has been published for less than `publishedSeconds`, as with files.
    func rotate(publishedSeconds: Int, now: Date) async throws {
        let secret = try await client.secret()
        let contents = try await VaultedKeys(secret)
        guard let next = contents.next, let text = contents.texts.next else {
            throw StartupFailure("the vault has no next key to rotate to")
        }
        guard now.timeIntervalSince(secret.created) >= Double(publishedSeconds) else {
            throw StartupFailure(
                "the next key has been in the vault for less than \(publishedSeconds) seconds, since "
                    + "\(VaultSecret.text(secret.created)); not every gateway knows it")
        }
        try await write(
            active: text, since: now, algorithm: next.verification.algorithmName, beside: contents.texts.peppers,
            after: secret)
    }

    // MARK: parts of the above

    private func write(
        active: String, since: Date, algorithm: String, beside others: [String: String], after secret: VaultSecret
    ) async throws(VaultFailure) {
        let pair: KeyPair
        do throws(StartupFailure) {
            pair = try KeyPair(algorithm: algorithm)
        } catch {
            throw .unusable("\(error)")
        }
        try await client.write(
            [
                "private_key": active, "next_private_key": pair.privatePEM + "\n",
                "active_since": VaultSecret.text(since),
            ].merging(others) { ours, _ in ours }, after: secret.version)
    }

    /// The keys of the versions before, until what they signed has expired.
    private func retired(before secret: VaultSecret, active: SigningKey) async throws(VaultFailure) -> [KeyRing.Retired]
    {
        var keys: [KeyRing.Retired] = []
        var successor = secret
        var known: Set<String> = [active.verification.id]
        for _ in 0..<Self.retiredLimit {
            let until = KeyRotation.retiredUntil(successor.created, accessTokenLifetime: retirement)
            guard successor.version > 1, until > Int64(Date.now.timeIntervalSince1970) else { break }
            let old: VaultSecret
            do throws(VaultFailure) {
                old = try await client.secret(version: successor.version - 1)
            } catch {
                // Whoever deleted it wanted its tokens to end, as after a leak.
                if case .missing = error { break }
                throw error
            }
            let key = try await VaultedKeys(old).active.verification
            if known.insert(key.id).inserted { keys.append(KeyRing.Retired(key: key, until: until)) }
            successor = old
        }
        return keys
    }
}
