// Locations: what they match, what they do, and the settings that hold there after inheritance.

/// How a location is chosen (nginx's rules; prefixes match whole segments unless they end in a slash).
package enum LocationMatch: Sendable, Equatable {
    /// `location = /path`
    case exact([UInt8])
    /// `location /path`; with `^~` no regular expression is tried after it.
    case prefix([UInt8], stopsPatterns: Bool)
    /// `location ~ pattern` (`~*`: case-insensitive), a PCRE2 regular expression.
    case pattern(String, isCaseSensitive: Bool)
    /// The server itself, when no location matches.
    case fallback
}

/// One location with everything that holds in it.
package struct Location: Sendable, Equatable {
    package var match: LocationMatch
    package var server: Int
    /// Nested locations, in the order of the file; indices into `GatewayConfiguration.locations`.
    package var children: [Int] = []
    /// Label of the route in metrics and logs: from the configuration only, never from a request.
    package var name: String
    package var action = LocationAction.notFound
    package var access = Access()
    package var limits = RequestLimits()
    package var errorDetail = ErrorDetail.code
    /// Written in each request that carries a verified identity; the client's own copies are always removed.
    package var identityHeaders: [FieldTemplate] = Location.defaultIdentityHeaders
    /// `identity_token`; nil: none, always with `auth off`.
    package var identityToken: IdentityTokenRules?
    /// False: the Authorization field of a verified token is removed before forwarding.
    package var forwardsToken = false
    /// `add_header`, for responses.
    package var addedHeaders: [AddedField] = []
    /// `cors`; nil: fields of CORS are the upstream's own.
    package var crossOrigin: CrossOriginRules?
    /// `strip_cookies`, for requests.
    package var strippedCookies: [String] = []
    package var accessLog: AccessLog?
    package var pathGuard = true
    /// How often a request that lasts is judged again; nil: only when it begins.
    package var tokenRecheck: Duration?
    package var position: SourcePosition

    package init(match: LocationMatch, server: Int, name: String, position: SourcePosition) {
        self.match = match
        self.server = server
        self.name = name
        self.position = position
    }

    package static let defaultIdentityHeaders = [
        FieldTemplate(name: "X-Auth-Subject", value: Template([.variable(.authSubject)])),
        FieldTemplate(name: "X-Auth-Permissions", value: Template([.variable(.authPermissions)])),
        FieldTemplate(name: "X-Auth-Provider", value: Template([.variable(.authProvider)])),
    ]
}

/// What a location does with an admitted request.
package enum LocationAction: Sendable, Equatable {
    case notFound
    /// `return CODE [text]`; for 301, 302, 303, 307 and 308 the text is the Location.
    case answer(status: Int, text: Template)
    /// `identity_jwks`
    case identityKeys
    case proxy(ProxyPass)
}

/// `proxy_pass` and the directives beside it.
package struct ProxyPass: Sendable, Equatable {
    /// Index of the group.
    package var upstream: Int
    package var scheme: UpstreamScheme
    /// `proxy_http_version 2`
    package var prefersFrames = false
    /// The URI of `proxy_pass http://group/uri`: replaces the matched prefix. Nil: the path goes on as it came.
    package var uri: [UInt8]?
    /// `proxy_set_header`, Host and Connection excepted from nginx's defaults only when named here. An empty value
    /// removes.
    package var setHeaders: [FieldTemplate] = []
    /// The Host sent upstream: nginx's `$proxy_host` unless set.
    package var host: Template
    package var connectTimeout: Duration = .seconds(2)
    package var readTimeout: Duration = .seconds(30)
    package var sendTimeout: Duration = .seconds(30)
    package var sourceHeader = SourceHeader.off

    /// A request for a WebSocket goes on as such, unless its Upgrade field is removed.
    package var passesUpgrades: Bool { !setHeaders.contains { $0.foldedName == "upgrade" && $0.value.pieces.isEmpty } }

    package init(upstream: Int, scheme: UpstreamScheme = .http, host: Template) {
        self.upstream = upstream
        self.scheme = scheme
        self.host = host
    }
}

/// `proxy_protocol`: the header that tells an upstream whom a connection is for.
package enum SourceHeader: Sendable, Equatable { case off, one, two }

/// A header field whose value is made for each message.
package struct FieldTemplate: Sendable, Equatable {
    package var name: String
    package var value: Template

    package init(name: String, value: Template) {
        self.name = name
        self.value = value
    }
}

/// `add_header NAME VALUE [always]`: without `always` only on 200, 201, 204, 206, 301, 302, 303, 304, 307, 308.
package struct AddedField: Sendable, Equatable {
    package var field: FieldTemplate
    package var always: Bool

    package init(field: FieldTemplate, always: Bool) {
        self.field = field
        self.always = always
    }
}
