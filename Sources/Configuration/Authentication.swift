// Who may say who someone is: providers of identity, and how their tokens are checked.
package import JOSE

/// What kind of credential a provider judges, and how.
package enum ProviderKind: Sendable, Equatable {
    /// Signed tokens, verified here.
    case jwt
}

/// What happens to a token whose `kid` no key has.
package enum UnknownKeyPolicy: Sendable, Equatable {
    case reject
    /// Its request waits so long for one fetch of the keys that all share; after a fetch none is made for the cooldown.
    case refetch(wait: Duration, cooldown: Duration)
}

/// `auth_provider NAME KIND { … }`
package struct AuthProvider: Sendable, Equatable {
    package var name: String
    package var kind = ProviderKind.jwt
    /// Compared exactly with `iss`; nil only when `issuer off` was said.
    package var issuer: String?
    /// Any of them must be in `aud`; empty only when `audience off` was said.
    package var audience: [String] = []
    /// Where keys are fetched; nil: only local keys.
    package var keySource: KeySource?
    /// Keys of `key_file`, read when the configuration was.
    package var localKeys = JSONWebKeySet()
    /// The files they came from.
    package var keyFiles: [String] = []
    /// `secret`: what HS256 and its kin are checked with.
    package var secret: JSONWebKey?
    package var algorithms: [SignatureAlgorithm] = [.rs256, .ps256, .es256, .eddsa]
    /// Accepted `typ` values, lower case without `application/`; nil stands for an absent one.
    package var tokenTypes: [String?] = ["at+jwt", "jwt", nil]
    /// Bytes of a token.
    package var tokenSize = 8 * 1024
    package var requiredClaims: [String] = ["exp", "sub"]
    package var leeway: Duration = .seconds(30)
    /// From `iat` (or now) to `exp`; nil: any.
    package var maxLifetime: Duration? = .seconds(24 * 3600)
    /// Entries of the verification cache in the whole process; 0: off.
    package var cacheEntries = 100_000
    /// Bytes of the verification cache in the whole process.
    package var cacheSize = 64 * 1024 * 1024
    package var cacheTTL: Duration = .seconds(600)
    /// How long a refused token is remembered; zero: not at all.
    package var negativeTTL: Duration = .seconds(5)
    package var unknownKeys = UnknownKeyPolicy.refetch(wait: .milliseconds(500), cooldown: .seconds(30))
    /// Which claims tell who it is and what they may do.
    package var claims = ClaimNames()
    /// The same for all providers: what any location or field of the configuration asks for.
    package var kept = KeptClaims()
    package var position: SourcePosition

    package init(name: String, position: SourcePosition) {
        self.name = name
        self.position = position
    }

    /// All keys that need no fetching.
    package var ownKeys: JSONWebKeySet {
        var own = localKeys
        if let secret { own.keys.append(secret) }
        return own
    }
}

/// `jwks URL`
package struct KeySource: Sendable, Equatable {
    package var url: String
    package var isTLS: Bool
    package var host: String
    package var port: UInt16
    /// Path and query.
    package var target: String
    package var refresh: Duration = .seconds(600)
    /// How long the last good keys serve while the source is down.
    package var staleIfError: Duration = .seconds(24 * 3600)

    package init(url: String, isTLS: Bool, host: String, port: UInt16, target: String) {
        self.url = url
        self.isTLS = isTLS
        self.host = host
        self.port = port
        self.target = target
    }
}
