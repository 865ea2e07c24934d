// What can be revoked, as 128 bits of a hash: an entry names neither a person nor a token, and all of them are of one size.
import Bytes
import JOSE

/// What of a credential is revoked.
package enum RevocationKind: UInt8, CaseIterable, Sendable {
    case tokenID = 1, session, subject, signingKey, client, apiKey

    /// The kind in feeds, messages and requests.
    package var word: StaticString {
        switch self {
        case .tokenID: "jti"
        case .session: "sid"
        case .subject: "sub"
        case .signingKey: "kid"
        case .client: "client"
        case .apiKey: "api_key"
        }
    }
}

/// The first 128 bits of SHA-256 over issuer, kind and value. Two different things never have the same one (that would need
/// 2^64 attempts), and what was revoked of one issuer says nothing about another.
package struct RevocationKey: Hashable, BitwiseCopyable, Sendable {
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
    /// Of no thing: the credential has none of that kind.
    package static var none: RevocationKey { RevocationKey(high: 0, low: 0) }

    /// The key as one block of the configuration knows it: blocks share a set, and each sees its own entries alone.
    package func scoped(by scope: RevocationKey) -> RevocationKey {
        let key = RevocationKey(high: high ^ scope.high, low: low ^ scope.low)
        return key == .none ? RevocationKey(high: 0, low: 1) : key
    }
}

/// One thing that is revoked, for so long.
package struct RevocationEntry: Hashable, BitwiseCopyable, Sendable {
    /// Scoped.
    package var key: RevocationKey
    /// Wall-clock seconds; from this one on nothing that the entry concerns is alive anyway.
    package var until: UInt32
    /// Only what was issued before this second is dead; 0: all of it.
    package var before: UInt32

    package init(key: RevocationKey, until: UInt32, before: UInt32 = 0) {
        self.key = key
        self.until = until
        self.before = before
    }
}

/// What there is to revoke of one verified credential: computed once, looked up whenever something new was revoked.
package struct RevocationFacts: Equatable, BitwiseCopyable, Sendable {
    /// `jti`, or the number of an API key.
    package var token = RevocationKey.none
    package var session = RevocationKey.none
    package var subject = RevocationKey.none
    package var signingKey = RevocationKey.none
    package var client = RevocationKey.none
    /// Whole seconds. A credential that does not say when it was issued is older than any date.
    package var issuedAt = Int64.min

    package init() {}
}

/// Computes keys; the memory that a hash is taken of is used again.
package struct RevocationKeys: ~Copyable {
    private let digest = SHA256()
    private var text = ByteBuffer(capacity: 1024)
    private var prefixCount = 0

    package init() {}

    /// The next keys are of this issuer.
    package mutating func begin(issuer: borrowing Span<UInt8>) {
        text.clear()
        // The length first: no issuer and value together read like another issuer and value.
        let count = UInt32(truncatingIfNeeded: issuer.count)
        for shift: UInt32 in [0, 8, 16, 24] { text.append(byte: UInt8(truncatingIfNeeded: count >> shift)) }
        text.append(issuer)
        prefixCount = text.count
    }
    package mutating func key(_ kind: RevocationKind, _ value: borrowing Span<UInt8>) -> RevocationKey {
        text.truncate(to: prefixCount)
        text.append(byte: kind.rawValue)
        text.append(value)
        let words = digest.hash(text.bytes).words
        // 0 stands for none.
        return RevocationKey(high: max(words.0, 1), low: words.1)
    }
    /// What tells the entries of one block of the configuration from those of the others.
    package mutating func scope(_ name: String) -> RevocationKey {
        let bytes = Array(name.utf8)
        begin(issuer: bytes.span)
        text.append(byte: 0)
        let words = digest.hash(text.bytes).words
        return RevocationKey(high: words.0, low: words.1)
    }
}
