// What tokens said whose signatures were checked lately: an RS256 signature costs more than all else that is asked of a token.
import Crypto
import Synchronization

/// A bounded memory, by the SHA-256 of the whole token. A verdict is good for the key that it was made with, and says nothing of
/// time or of revocation: whoever finds one looks at those anew.
final class VerifiedTokens: Sendable {
    struct Verdict: Sendable {
        let principal: Principal
        /// The reading of the key.
        let key: VerificationKey.Reading
        /// When the token counts, in seconds since 1970, without leeway.
        let notBefore: Double
        let expires: Double
    }

    /// Two halves: when the young one is full the old one is forgotten, and what is still asked for moves over.
    private struct Halves {
        var young: [SHA256Digest: Verdict] = [:]
        var old: [SHA256Digest: Verdict] = [:]
    }

    /// A verdict takes about a kilobyte.
    private static let halfLimit = 2048

    private let halves = Mutex(Halves())

    func verdict(on token: SHA256Digest) -> Verdict? {
        halves.withLock { halves in
            if let verdict = halves.young[token] { return verdict }
            guard let verdict = halves.old[token] else { return nil }
            Self.insert(verdict, for: token, &halves)
            return verdict
        }
    }

    func remember(_ verdict: Verdict, on token: SHA256Digest) {
        halves.withLock { Self.insert(verdict, for: token, &$0) }
    }

    private static func insert(_ verdict: Verdict, for token: SHA256Digest, _ halves: inout Halves) {
        if halves.young.count >= halfLimit {
            halves.old = halves.young
            halves.young = [:]
        }
        halves.young[token] = verdict
    }

    /// Forgets the verdict on a token that its key or its time has left behind.
    func forget(_ token: SHA256Digest) {
        halves.withLock { halves in
            halves.young[token] = nil
            halves.old[token] = nil
        }
    }
}
