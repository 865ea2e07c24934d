// What scripts of other sites may do (CORS: the Fetch standard, sections 3.3 and 4.8).

/// `cors { … }`
package struct CrossOriginRules: Sendable, Equatable, Hashable {
    /// Whose scripts may read answers. Empty only with `pass on`: then the upstream alone says so.
    package var origins: [OriginPattern] = []
    package var methods = ["GET", "HEAD", "POST"]
    package var headers = ["Authorization", "Content-Type"]
    /// Fields of answers that scripts may read, beside those that they always may.
    package var exposedHeaders: [String] = []
    package var allowsCredentials = false
    /// How long browsers remember the answer to a preflight.
    package var maxAge: Duration = .seconds(600)
    /// Preflights are the upstream's affair: they go there without an identity.
    package var passesPreflights = false

    package init() {}
}

/// One word of `origins`.
package enum OriginPattern: Sendable, Equatable, Hashable {
    /// `*`
    case any
    /// `https://app.example.com`, as a browser writes it.
    case exact(String)
    /// `https://*.example.com`: one label stands between the two parts.
    case oneLabel(scheme: String, domain: String)

    package var written: String {
        switch self {
        case .any: "*"
        case .exact(let origin): origin
        case .oneLabel(let scheme, let domain): scheme + "*" + domain
        }
    }
}
