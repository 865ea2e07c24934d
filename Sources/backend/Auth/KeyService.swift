// The keys of the auth service: the one that signs, and the set that is published; a rotation replaces them whole.
import Foundation
import Synchronization

final class KeyService: VerificationKeys {
    private struct State {
        var ring: KeyRing
        /// Keys from a vault sign no longer than this after it last gave them; nil: for ever.
        var signsUntil: ContinuousClock.Instant?
        /// Since when the keys could not be had from where they come; nil while they can.
        var failingSince: ContinuousClock.Instant?
    }

    private let state: Mutex<State>

    init(_ ring: KeyRing) {
        state = Mutex(State(ring: ring))
    }

    /// What /.well-known/jwks.json answers: public members only.
    var publishedKeys: PublicJWKSet { PublicJWKSet(keys: verificationKeys.compactMap(\.jwk)) }

    var ring: KeyRing { state.withLock { $0.ring } }

    /// The keys whose signatures are believed now. They stay when no key may sign any more.
    var verificationKeys: [VerificationKey] {
        ring.published(at: Int64(Date.now.timeIntervalSince1970))
    }

    /// Throws `signing_unavailable` when there is no key that may sign: asked before anything is spent for a token.
    func requireSigning() throws(Problem) {
        _ = try signingKey
    }

    /// A token of these claims, signed with the active key.
    func sign(_ claims: [UInt8]) throws -> String {
        try signingKey.sign(claims)
    }

    private var signingKey: SigningKey {
        get throws(Problem) {
            let state = state.withLock { $0 }
            guard let key = state.ring.active, state.signsUntil.map({ .now < $0 }) ?? true else {
                throw .signingUnavailable
            }
            return key
        }
    }

    /// Takes these keys, which came from where they come.
    func replace(with ring: KeyRing, signsUntil: ContinuousClock.Instant? = nil) {
        state.withLock { $0 = State(ring: ring, signsUntil: signsUntil) }
    }

    /// Notes that the keys could not be had; those of before go on.
    func noteFailure() {
        state.withLock { $0.failingSince = $0.failingSince ?? .now }
    }

    /// How long it has been failing.
    var failing: Duration {
        state.withLock { $0.failingSince.map { .now - $0 } ?? .zero }
    }
}
