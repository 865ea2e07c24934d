// Who may say who someone is: providers of identity, and how their tokens are checked.
package import JOSE

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
    /// All of them must be.
    package var needsAllAudiences = false
    /// Where keys are fetched; none: only local keys.
    package var keySources: [KeySource] = []
    package var keyFetching = KeyFetching()
    /// Keys of `key_file`, read when the configuration was.
    package var localKeys = JSONWebKeySet()
    /// Where they came from: paths of files and folders, and patterns.
    package var keyFiles: [String] = []
    /// `secret`: what HS256 and its kin are checked with.
    package var secret: JSONWebKey?
    /// The file that holds it, if one holds nothing else.
    package var secretFile: String?
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
    /// Where its credential may stand.
    package var places: [CredentialPlace] = [.bearer]
    package var boundTokens = BoundTokens.check
    /// Keys of a file; nil: a service is asked.
    package var apiKeys: APIKeyFile?
    /// What every key begins with.
    package var keyPrefix: String?
    /// The service that is asked; nil: nobody is.
    package var lookup: LookupTarget?
    package var lookupClient: LookupClient?
    /// Whom that service is believed by; nil: by the system's authorities.
    package var lookupAuthorities: TrustedAuthorities?
    package var onError = LookupErrorPolicy.unavailable
    /// Fields of the service's answer that go to the upstream.
    package var copiedFields: [String] = []
    package var certificateSubject = CertificateSubject.san
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

/// One place where keys of a provider are fetched.
package struct KeySource: Sendable, Equatable {
    /// Sources of one provider: its keys are at most 64 of each.
    package static let maximumCount = 8

    package enum Kind: Sendable, Equatable {
        /// `jwks URL`: a JWK Set.
        case keys
        /// `discovery URL`: metadata of the issuer (OpenID Connect Discovery, RFC 8414), which say where the JWK Set is.
        case discovery
    }

    package var kind: Kind
    package var address: WebAddress
    /// For logs: the address, or `***` when it holds a secret.
    package var shown: String

    package init(_ kind: Kind, _ address: WebAddress, shown: String? = nil) {
        self.kind = kind
        self.address = address
        self.shown = shown ?? address.url
    }
}

/// How keys are fetched, from whichever source of a provider.
package struct KeyFetching: Sendable, Equatable {
    /// How long keys are fresh whose source does not say it itself.
    package var refresh: Duration = .seconds(600)
    /// How long the last good keys serve while their source is down.
    package var staleIfError: Duration = .seconds(24 * 3600)
    /// Plain http off loopback, and names that lead to this machine, are meant.
    package var isInsecure = false
    /// Without keys of every source the gateway does not start.
    package var failsStart = false
    /// Nil: the system's.
    package var authorities: TrustedAuthorities?

    package init() {}
}
