// Turns the typed configuration into the rows, steps and filters of a snapshot.
import Bytes
import Configuration
import HTTP
import JOSE
import Policy

struct SnapshotBuilder: ~Copyable {
    private let configuration: GatewayConfiguration
    private var compiler = TemplateCompiler()
    private var filters: SlotTable<FieldFilter>
    private var accessLogs: [AccessLog] = []
    private let serial: UInt32
    /// `identity_headers` as they differ from location to location.
    private var identityForms: [[FieldTemplate]] = []
    private var logPrograms: [ProgramRange] = []
    /// Names that carry a verified identity anywhere in the configuration: no client may send them, on any route.
    private let identityNames: [String]
    /// The different `cors` blocks.
    private var crossOrigin: [CrossOriginRules] = []
    /// The different `identity_token` blocks, and who makes their tokens.
    private var identityTokens: [IdentityTokenRules] = []
    private var mints: [IdentityMint] = []
    /// Towards clients: hop-by-hop fields and a word that is ours are gone; where we answer for CORS, its fields too.
    private let responseFilter: SlotID
    private let crossOriginFilter: SlotID
    private let streamUpgradeFilter: SlotID

    init(_ configuration: GatewayConfiguration, serial: UInt32) {
        self.configuration = configuration
        self.serial = serial
        // For each location those towards the upstream, with and without a token and for a preflight; three towards clients.
        filters = SlotTable(capacity: configuration.locations.count * 3 + 3)
        var names = Location.defaultIdentityHeaders.map(\.name) + [IdentityTokenRules.defaultHeader]
        for location in configuration.locations {
            names += location.identityHeaders.map(\.name)
            if let token = location.identityToken { names.append(token.header) }
        }
        for provider in configuration.providers { names += provider.copiedFields }
        identityNames = names
        let ours = FieldSet([.gatewayError])
        let custom = Self.crossOriginFields.map { Array($0.utf8) }
        responseFilter = filters.insert(FieldFilter(dropping: ours, allowsUnderscores: true)) ?? .none
        crossOriginFilter =
            filters.insert(FieldFilter(dropping: ours, custom: custom, allowsUnderscores: true)) ?? .none
        let handshake = custom + [Array("sec-websocket-accept".utf8)]
        streamUpgradeFilter =
            filters.insert(FieldFilter(dropping: ours, custom: handshake, allowsUnderscores: true)) ?? .none
        compiler.hostname = ProcessIdentity.hostname
        compiler.processID = ProcessIdentity.number
        compiler.keptClaims = configuration.keptClaims
    }

    mutating func build(
        _ table: consuming RouteTable, _ routes: consuming FixedArray<Route>, _ endpoints: [[Int32]]
    ) -> Snapshot {
        for i in configuration.locations.indices { routes[i] = route(i) }
        var limits = FixedArray(repeating: ListenerLimits(), count: max(1, configuration.listeners.count))
        for i in configuration.listeners.indices { limits[i] = listenerLimits(i) }
        var response = SlotTable<FieldFilter>(capacity: 1)
        swap(&response, &filters)
        var steps = FixedArray(repeating: TemplateStep(kind: .text), count: compiler.steps.count)
        for i in compiler.steps.indices { steps[i] = compiler.steps[i] }
        var text = ByteBuffer(capacity: max(1, compiler.text.count))
        text.append(compiler.text.span)
        return Snapshot(
            configuration, table, routes, limits, steps, text, response, responseFilter, streamUpgradeFilter, endpoints,
            accessLogs,
            logPrograms, CrossOrigin(crossOrigin), mints)
    }
    private static let crossOriginFields = [
        "access-control-allow-origin", "access-control-allow-credentials", "access-control-expose-headers",
        "access-control-allow-methods", "access-control-allow-headers", "access-control-max-age",
    ]

    private func listenerLimits(_ i: Int) -> ListenerLimits {
        let fallback = configuration.servers[configuration.listeners[i].defaultServer].fallback
        let limits = configuration.locations[fallback].limits
        return ListenerLimits(
            lineSize: limits.lineSize, headSize: limits.headSize, fieldCount: limits.fieldCount,
            headNanoseconds: limits.headerTimeout.nanoseconds,
            keepaliveNanoseconds: limits.keepaliveTimeout.nanoseconds,
            sendNanoseconds: limits.sendTimeout.nanoseconds, streams: configuration.listeners[i].streams,
            namesSource: configuration.listeners[i].takesProxyProtocol,
            trustsPeers: !configuration.listeners[i].trusted.isEmpty, route: Int32(fallback),
            server: Int32(configuration.listeners[i].defaultServer))
    }

    private mutating func route(_ i: Int) -> Route {
        let location = configuration.locations[i]
        var route = Route()
        route.location = Int32(i)
        route.detail = location.errorDetail == .none ? 0 : location.errorDetail == .code ? 1 : 2
        route.provider = Int32(location.access.provider ?? -1)
        route.clientRules = configuration.servers[location.server].tls?.clients?.number ?? 0
        route.isReport = location.access.isReport
        route.usesCaptures = !location.access.captures.isEmpty
        take(location.limits, into: &route)
        route.responseFilter = responseFilter
        if let rules = location.crossOrigin { take(rules, into: &route) }
        route.accessLog = accessLog(location.accessLog)
        route.responseFields = fields(location.addedHeaders.filter { !$0.always }.map(\.field))
        route.responseFieldsAlways = fields(location.addedHeaders.filter(\.always).map(\.field))
        switch location.action {
        case .notFound: break
        case .answer(let status, let text):
            route.action = .answer
            route.status = Int32(status)
            route.answerText = compiler.program { $0.template(text) }
        case .identityKeys:
            route.action = .answer
            route.status = 200
            route.isKeySet = true
            let document = configuration.identityKeys.document
            route.answerText = compiler.program { $0.literal(document) }
        case .proxy(let proxy):
            route.action = .proxy
            if let rules = location.identityToken { take(rules, into: &route) }
            take(proxy, of: location, into: &route)
        }
        return route
    }
    private mutating func take(_ rules: CrossOriginRules, into route: inout Route) {
        if !crossOrigin.contains(rules) { crossOrigin.append(rules) }
        route.crossOrigin = Int32(crossOrigin.firstIndex(of: rules) ?? -1)
        if !rules.isUpstreams { route.responseFilter = crossOriginFilter }
    }
    private mutating func take(_ rules: IdentityTokenRules, into route: inout Route) {
        if let known = identityTokens.firstIndex(of: rules) {
            route.identityToken = Int32(known)
            return
        }
        guard let mint = IdentityMint(rules, number: UInt64(serial) << 32 | UInt64(mints.count)) else { return }
        route.identityToken = Int32(mints.count)
        identityTokens.append(rules)
        mints.append(mint)
    }
    private func take(_ limits: RequestLimits, into route: inout Route) {
        route.bodyNanoseconds = limits.bodyTimeout.nanoseconds
        route.bodyMinimumRate = UInt64(max(0, limits.bodyMinimumRate))
        route.sendNanoseconds = limits.sendTimeout.nanoseconds
        route.keepaliveNanoseconds = limits.keepaliveTimeout.nanoseconds
        route.keepaliveRequests = UInt32(clamping: limits.keepaliveRequests)
        route.bodySize = Int64(limits.bodySize)
    }
    private mutating func take(_ proxy: ProxyPass, of location: Location, into route: inout Route) {
        route.upstream = Int32(proxy.upstream)
        compiler.proxyHost = configuration.upstreams[proxy.upstream].authority
        if let uri = proxy.uri {
            route.hasURI = true
            route.uri = compiler.program { $0.literal(uri) }
        }
        route.connectNanoseconds = proxy.connectTimeout.nanoseconds
        route.readNanoseconds = proxy.readTimeout.nanoseconds
        route.upstreamSendNanoseconds = proxy.sendTimeout.nanoseconds
        route.recheckNanoseconds = location.tokenRecheck?.nanoseconds ?? 0
        route.passesUpgrades = proxy.passesUpgrades && !configuration.upstreams[proxy.upstream].isFramed
        route.sourceVersion = proxy.sourceHeader == .off ? 0 : proxy.sourceHeader == .one ? 1 : 2
        let set = proxy.setHeaders.filter { !["connection", "upgrade"].contains($0.name.lowercased()) }
        let providers = location.access.providers.map { configuration.providers[$0] }
        // Keys, and tokens elsewhere than in Authorization, are for us alone.
        let places = providers.flatMap(\.places)
        let keyFields = places.compactMap { if case .field(let name) = $0 { name } else { nil } }
        let tokenCookies = places.compactMap { if case .cookie(let name) = $0 { name } else { nil } }
        let cookies = location.strippedCookies.map { Array($0.utf8) } + tokenCookies
        let hidesToken = !providers.isEmpty && !location.forwardsToken
        compiler.concealed = ConcealedFields(
            token: hidesToken, preflights: location.access.passesPreflights, fields: keyFields.map(Self.folded),
            cookies: cookies)
        defer { compiler.concealed = ConcealedFields() }
        route.requestFields = requestFields(proxy, set)
        let identity = location.identityHeaders + copies(of: providers, beside: location.identityHeaders)
        route.identityFields = fields(identity)
        route.identityStamp = stamp(identity)
        let dropped = FieldSet([
            .host, .expect, .proxy, .proxyAuthorization, .forwarded, .xForwardedFor, .xForwardedProto, .xForwardedHost,
            .xForwardedPort, .xForwardedServer, .xForwardedURI, .xForwardedPrefix, .xRealIP, .xOriginalURL,
            .xRewriteURL, .xRequestID,
        ])
        let custom =
            (identityNames + set.map(\.name) + ForwardedFields.clientCopies).map { Array($0.utf8) } + keyFields
        let allows = location.limits.allowsUnderscores
        func filter(_ names: FieldSet) -> FieldFilter {
            FieldFilter(dropping: names, custom: custom, cookies: cookies, allowsUnderscores: allows)
        }
        route.requestFilter = filters.insert(filter(dropped)) ?? .none
        route.authenticatedFilter = route.requestFilter
        if hidesToken {
            route.authenticatedFilter = filters.insert(filter(dropped.union(FieldSet([.authorization])))) ?? .none
        }
        if location.access.passesPreflights {
            let credentials = FieldSet([.authorization, .cookie])
            route.preflightFilter = filters.insert(filter(dropped.union(credentials))) ?? .none
        }
    }
    /// Fields of services' answers, each name once.
    private func copies(of providers: [AuthProvider], beside fields: [FieldTemplate]) -> [FieldTemplate] {
        var known = fields.map { Self.folded(Array($0.name.utf8)) }
        return providers.flatMap(\.copiedFields).compactMap { name in
            let folded = Self.folded(Array(name.utf8))
            if known.contains(folded) { return nil }
            known.append(folded)
            return FieldTemplate(name: name, value: Template([.variable(.claim(ClaimPath([name])))]))
        }
    }
    private static func folded(_ name: [UInt8]) -> [UInt8] {
        Array(String(decoding: name, as: UTF8.self).lowercased().replacing("_", with: "-").utf8)
    }
    /// Host first, as RFC 9110 section 7.2 asks; then where the request comes from, unless the configuration says it itself.
    private mutating func requestFields(_ proxy: ProxyPass, _ set: [FieldTemplate]) -> ProgramRange {
        let named = set.map { $0.name.lowercased() }
        return compiler.program { compiler in
            if !named.contains("host") { compiler.field(FieldTemplate(name: "Host", value: proxy.host)) }
            let defaults: [(String, TemplateStep.Kind)] = [
                ("X-Forwarded-For", .forwardedFor), ("X-Forwarded-Proto", .forwardedProto),
                ("X-Forwarded-Host", .forwardedHost), ("X-Request-ID", .requestID),
            ]
            for (name, kind) in defaults where !named.contains(name.lowercased()) { compiler.field(name, kind) }
            for field in set { compiler.field(field) }
        }
    }
    private mutating func fields(_ list: [FieldTemplate]) -> ProgramRange {
        list.isEmpty ? ProgramRange() : compiler.program { for field in list { $0.field(field) } }
    }
    /// The same number for the same fields of this snapshot.
    private mutating func stamp(_ fields: [FieldTemplate]) -> UInt32 {
        guard fields.allSatisfy(\.value.isIdentityAlone) else { return 0 }
        let index = identityForms.firstIndex(of: fields) ?? identityForms.count
        if index == identityForms.count { identityForms.append(fields) }
        return index < 4095 ? Route.identityStamp(serial, UInt32(index) + 1) : 0
    }
    private mutating func accessLog(_ log: AccessLog?) -> Int32 {
        guard let log else { return -1 }
        if let known = accessLogs.firstIndex(of: log) { return Int32(known) }
        accessLogs.append(log)
        if case .text(let template) = log.format {
            logPrograms.append(compiler.program { $0.template(template) })
        } else {
            logPrograms.append(ProgramRange())
        }
        return Int32(accessLogs.count - 1)
    }
}
