// The settings of credentials that are not signed tokens, and of tokens that are bound to their owner.

/// What kind of credential a provider judges, and how.
package enum ProviderKind: Sendable, Equatable, CaseIterable {
    /// Signed tokens, verified here.
    case jwt
    /// Keys of a file, by their hashes, or keys that a service knows.
    case apiKey
    /// Tokens that a service knows (RFC 7662).
    case introspection
    /// Whatever a service thinks of the request, as nginx's `auth_request`.
    case request
    /// The certificate of a client's TLS connection.
    case clientCertificate

    /// As `auth_provider` spells it.
    package var word: String {
        switch self {
        case .jwt: "jwt"
        case .apiKey: "api_key"
        case .introspection: "introspection"
        case .request: "request"
        case .clientCertificate: "client_certificate"
        }
    }
}

/// What becomes of a token that is bound to a key or a certificate of its owner (RFC 8705, RFC 9449).
package enum BoundTokens: Sendable, Equatable {
    /// The binding must hold where there is one; one that cannot be checked does not.
    case check
    /// There must be one to the client's certificate.
    case require
    /// Nobody looks at it.
    case ignore
}

/// What becomes of a request whose credential nobody can judge because a service fails.
package enum LookupErrorPolicy: Sendable, Equatable {
    /// 503
    case unavailable
    /// 403
    case deny
    /// It goes on, without an identity.
    case allow
}

/// Which name of a client's certificate says who it is.
package enum CertificateSubject: Sendable, Equatable {
    /// The first alternative name that is a URI, a host name or a mail address.
    case san
    /// The common name.
    case cn
    /// The whole subject.
    case dn
}

/// `file PATH`
package struct APIKeyFile: Sendable, Equatable {
    package var path: String
    package var keys: [APIKey]
}

/// `client_id`, `client_secret`
package struct LookupClient: Sendable, Equatable {
    package var id: String
    package var secret: String
}

extension AuthProvider {
    /// With the defaults of its kind.
    package init(name: String, kind: ProviderKind, position: SourcePosition) {
        self.init(name: name, position: position)
        self.kind = kind
        guard kind != .jwt else { return }
        requiredClaims = []
        maxLifetime = nil
        if kind != .introspection {
            boundTokens = .ignore
            places = []
        }
        switch kind {
        case .jwt, .clientCertificate: break
        case .apiKey:
            places = [.field(Array("X-API-Key".utf8))]
            cacheTTL = .seconds(60)
        case .introspection: cacheTTL = .seconds(30)
        case .request: cacheTTL = .seconds(10)
        }
    }
}
