// What holds in a location and is inherited: from the file to servers, to locations, to nested locations.

/// The settings of one level. An inner level begins as a copy of the outer one.
struct RouteSettings: Sendable {
    var limits = RequestLimits()
    var pathGuard = true
    var errorDetail = ErrorDetail.code
    var accessLog: AccessLog?
    /// Nil until it is said.
    var auth: AuthSetting?
    /// What `require` and `require_policy` say.
    var requirements: [Requirement] = []
    var policies: [Requirement] = []
    var methods: MethodPermissions?
    var isReport = false
    var tokenRecheck: Duration?
    var grantsWildcards = false
    /// Named groups of the regular expressions around; nil in a policy.
    var captures: Set<String>? = []
    /// `require`, `require_policy` or `permissions`, if this level says one itself.
    var ownRequire: Argument?
    /// `revocation`: the name of a block or `off`; nil until it is said.
    var revocation: Argument?
    /// The same, if this level says it itself.
    var ownRevocation: Argument?
    var identityHeaders = Location.defaultIdentityHeaders
    var identityToken: IdentityTokenRules?
    /// `identity_token`, if this level says it itself.
    var ownIdentityToken: Argument?
    var forwardsToken = false
    var addedHeaders: [AddedField] = []
    var crossOrigin: CrossOriginRules?
    var strippedCookies: [String] = []
    /// `proxy_set_header`, Host included.
    var upstreamFields: [FieldTemplate] = []
    var connectTimeout: Duration = .seconds(2)
    var readTimeout: Duration = .seconds(30)
    var sendTimeout: Duration = .seconds(30)
    /// `proxy_http_version 2`
    var prefersFrames = false
    var upstreamTLS = UpstreamTLSDraft()
    var sourceHeader = SourceHeader.off
    /// Words of this level itself that use variables which only a verified identity fills.
    var ownIdentityUses: [Argument] = []

    init() {}

    /// What an inner level begins with.
    var inherited: RouteSettings {
        var copy = self
        copy.ownIdentityUses = []
        copy.ownRequire = nil
        copy.ownRevocation = nil
        copy.ownIdentityToken = nil
        return copy
    }

    static let rows: [Directive<RouteSettings>] =
        RequestLimits.rows + [
            .setting(
                "path_guard", in: [.main, .server, .location], .flag, \.pathGuard,
                "Refuse a path that common servers read in several ways with different access")
        ] + AccessLog.rows + Access.rows + [Revocation.routeRow] + FieldTemplate.rows
        + [IdentityTokenRules.row, CrossOriginRules.row]
        + ProxyPass.rows + UpstreamTLSDraft.rows.map { $0.lifted(\.upstreamTLS) }
}

/// What servers and locations have in common: settings, an answer of their own, and locations inside.
struct RouteScope: Sendable {
    var settings = RouteSettings()
    var answer: LocationAction?
    var answerWord: Argument?
    var locations: [LocationDraft] = []
    /// What encloses the locations: every location around this level, the outermost first.
    var enclosing: [LocationMatch] = []
    var position: SourcePosition

    init(position: SourcePosition) { self.position = position }

    /// Rows for servers and locations alike.
    static func rows(for kind: BlockKind) -> [Directive<RouteScope>] {
        RouteSettings.rows.filter { $0.row.blocks.contains(kind) }.map { $0.lifted(\.settings) } + [
            answerRow, locationRow,
        ]
    }
}
