// The settings of credentials that are not signed tokens, and of tokens that are bound to their owner.
internal import Bytes
internal import JOSE

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
    /// Of the bytes, so that what stays the same need not be read twice.
    private let digest: SHA256Value

    init(_ path: String) throws(APIKeyFileError) {
        self = try Self.read(path, unless: nil) ?? Self(path: path, keys: [], digest: SHA256Value())
    }
    private init(path: String, keys: [APIKey], digest: SHA256Value) {
        self.path = path
        self.keys = keys
        self.digest = digest
    }
    private static func read(_ path: String, unless known: SHA256Value?) throws(APIKeyFileError) -> APIKeyFile? {
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try SourceFile.read(path, maximumBytes: APIKey.maximumBytes)
        } catch {
            throw APIKeyFileError(error)
        }
        let digest = SHA256().hash(bytes.span)
        if digest == known { return nil }
        do throws(APIKeyError) {
            return APIKeyFile(path: path, keys: try APIKey.parse(bytes), digest: digest)
        } catch {
            throw APIKeyFileError(error)
        }
    }
    /// What it says now, if that is something else; or why it cannot be used.
    package func again() -> Result<APIKeyFile?, APIKeyFileError> {
        do throws(APIKeyFileError) {
            return .success(try Self.read(path, unless: digest))
        } catch {
            return .failure(error)
        }
    }
}

/// Why a file of keys cannot be used.
package struct APIKeyFileError: Error {
    private let place: String
    private let reason: String
    /// The file could not be read at all.
    private let isUnread: Bool

    fileprivate init(_ error: FileError) {
        place = ""
        reason = "cannot be read: \(error.reason)"
        isUnread = true
    }
    fileprivate init(_ error: APIKeyError) {
        place = ":\(error.line):\(error.column)"
        reason = error.reason
        isUnread = false
    }
    /// One sentence; `shown` stands for the path.
    package func message(_ shown: String) -> String {
        isUnread ? "key file \"\(shown)\" \(reason)" : "\(shown)\(place): \(reason)"
    }
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
