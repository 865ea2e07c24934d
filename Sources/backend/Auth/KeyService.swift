// The keys of the auth service: the one that signs, and the set that is published; a rotation replaces them whole.
import Foundation
import JWTKit
import Synchronization

final class KeyService: VerificationKeys {
    private let ring: Mutex<KeyRing>

    init(_ ring: KeyRing) {
        self.ring = Mutex(ring)
    }

    /// What /.well-known/jwks.json answers: public members only.
    var publishedKeys: PublicJWKSet { PublicJWKSet(keys: verificationKeys.map(\.jwk)) }

    /// The keys whose signatures are believed now.
    var verificationKeys: [VerificationKey] {
        let now = Int64(Date.now.timeIntervalSince1970)
        return ring.withLock { $0 }.published(at: now)
    }

    /// Signs with the active key.
    func sign(_ claims: some JWTPayload) async throws -> String {
        let active = ring.withLock { $0.active }
        return try await active.sign(claims)
    }

    func replace(with ring: KeyRing) {
        self.ring.withLock { $0 = ring }
    }
}
