// The keys of the auth service: the one that signs, and the set that is published.
import JWTKit

struct KeyService: Sendable {
    private let active: SigningKey

    init(active: SigningKey) {
        self.active = active
    }

    /// What /.well-known/jwks.json answers: public members only.
    var publishedKeys: PublicJWKSet { PublicJWKSet(keys: [active.verification.jwk]) }

    /// Signs with the active key.
    func sign(_ claims: some JWTPayload) async throws -> String {
        try await active.sign(claims)
    }
}
