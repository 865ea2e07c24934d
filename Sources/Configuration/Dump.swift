// The effective configuration as text: everything that holds, defaults included, in the language it was read from.

extension GatewayConfiguration {
    /// Valid configuration text that reads back as an equal configuration, but for what is secret, which is `***`.
    package func dump() -> String {
        var out = ConfigurationWriter(concealed: concealed)
        let file = servers.first?.position.file ?? ""
        out.write(MainSettings.rows.filter { $0.row.blocks == [.main] }, MainSettings(of: self), at: .start(of: file))
        if let admin {
            out.block("admin", at: admin.position) {
                $0.write(AdminDraft.rows, AdminDraft(address: admin.address), at: admin.position)
            }
        }
        for policy in policies {
            out.block("policy \(policy.name)", at: policy.position) {
                $0.write(AccessPolicy.rows, RouteSettings(of: policy), at: policy.position)
            }
        }
        for provider in providers {
            out.block("auth_provider \(provider.name) \(provider.kind.word)", at: provider.position) {
                $0.write(ProviderDraft.rows(of: provider.kind), ProviderDraft(provider), at: provider.position)
            }
        }
        for revocation in revocations {
            out.block("revocation \(revocation.name)", at: revocation.position) {
                $0.write(RevocationDraft.rows, RevocationDraft(revocation), at: revocation.position)
            }
        }
        for upstream in upstreams.prefix(namedUpstreams) {
            out.block("upstream \(upstream.name)", at: upstream.position) {
                $0.write(Upstream.rows, upstream, at: upstream.position)
            }
        }
        for (index, server) in servers.enumerated() {
            out.block("server", at: server.position) {
                $0.write(ServerDraft.rows, ServerDraft(of: server, index, in: self), at: server.position)
                for child in server.locations { write(child, to: &$0) }
            }
        }
        return out.text
    }

    private func write(_ index: Int, to out: inout ConfigurationWriter) {
        let location = locations[index]
        out.block("location \(location.match.written)", at: location.position) {
            $0.write(LocationDraft.rows, LocationDraft(of: location, in: self), at: location.position)
            for child in location.children { write(child, to: &$0) }
        }
    }
}

/// Lines with indentation.
private struct ConfigurationWriter {
    let concealed: ConcealedArguments
    private(set) var text = ""
    private var indent = ""

    init(concealed: ConcealedArguments) { self.concealed = concealed }

    mutating func block(_ head: String, at place: SourcePosition, _ body: (inout ConfigurationWriter) -> Void) {
        text += "\n\(indent)\(head) {\n"
        indent += "    "
        body(&self)
        indent.removeLast(4)
        text += "\(indent)}\n"
    }

    mutating func write<Block>(_ rows: [Directive<Block>], _ block: Block, at place: SourcePosition) {
        for directive in rows {
            let name = directive.row.name
            for line in concealed.hiding(directive.write(block), of: name, at: place) {
                text += indent + WrittenLine([name] + line.arguments, lines: line.lines).text
                text += line.lines == nil ? ";\n" : "\n"
            }
        }
    }
}

extension SourcePosition {
    fileprivate static func start(of file: String) -> SourcePosition { SourcePosition(file: file, line: 1, column: 1) }
}

extension LocationMatch {
    fileprivate var written: String {
        switch self {
        case .exact(let path): "= " + Syntax.quoted(String(decoding: path, as: UTF8.self))
        case .prefix(let path, let stops): (stops ? "^~ " : "") + Syntax.quoted(String(decoding: path, as: UTF8.self))
        case .pattern(let pattern, let isCaseSensitive): (isCaseSensitive ? "~ " : "~* ") + Syntax.quoted(pattern)
        case .fallback: ""
        }
    }
}

// Back from what holds to what would have to be said.

extension MainSettings {
    fileprivate init(of configuration: GatewayConfiguration) {
        process = configuration.process
        errorLog = configuration.errorLog
        logFormats = configuration.logFormats
        roles = configuration.roles
    }
}

extension ServerDraft {
    fileprivate init(of server: Server, _ index: Int, in configuration: GatewayConfiguration) {
        self.init(position: server.position)
        names = server.names
        for number in server.listeners {
            let listener = configuration.listeners[number]
            var listen = ListenDraft(addresses: [listener.address], word: Argument("", position: listener.position))
            listen.isTLS = listener.isTLS
            listen.takesProxyProtocol = listener.takesProxyProtocol
            listen.isDefault = listener.defaultServer == index
            listen.backlog = listener.backlog
            listens.append(listen)
        }
        if let listener = server.listeners.first {
            streams = StreamDraft(streams: configuration.listeners[listener].streams)
        }
        if let settings = server.tls { tls = TLSDraft(of: settings) }
        scope.settings = RouteSettings(of: configuration.locations[server.fallback], in: configuration)
        if case .answer = configuration.locations[server.fallback].action {
            scope.answer = configuration.locations[server.fallback].action
        }
    }
}

extension TLSDraft {
    fileprivate init(of settings: TLSSettings) {
        certificates = settings.certificates.map { Argument($0.certificateFile, position: $0.certificatePosition) }
        keys = settings.certificates.map { Argument($0.keyFile, position: $0.keyPosition) }
        staples = settings.staples.map { Argument($0.file, position: $0.position) }
        allowsTLS12 = settings.allowsTLS12
        allowsTLS13 = settings.allowsTLS13
        ciphers = settings.ciphers.map { Argument($0.text, position: $0.position) }
        curves = settings.curves
        offersTickets = settings.offersTickets
        keyLog = settings.keyLog.map { Argument($0.file, position: $0.position) }
        guard let clients = settings.clients else { return }
        clientAuthorities = Argument(clients.file, position: clients.position)
        clientVerification = clients.isRequired ? .on : .optional
        clientDepth = clients.depth
    }
}

extension LocationDraft {
    fileprivate init(of location: Location, in configuration: GatewayConfiguration) {
        self.init(match: location.match, label: location.name, scope: RouteScope(position: location.position))
        scope.settings = RouteSettings(of: location, in: configuration)
        switch location.action {
        case .notFound: break
        case .answer, .identityKeys: scope.answer = location.action
        case .proxy(let pass):
            let upstream = configuration.upstreams[pass.upstream]
            target = ProxyTarget(
                upstream: pass.upstream, authority: upstream.authority, scheme: pass.scheme, uri: pass.uri)
        }
    }
}

extension RouteSettings {
    fileprivate init(of location: Location, in configuration: GatewayConfiguration) {
        limits = location.limits
        pathGuard = location.pathGuard
        errorDetail = location.errorDetail
        accessLog = location.accessLog
        auth = AuthSetting(
            location.access.providers.map { configuration.providers[$0].name }, location.access.mode,
            position: location.position)
        for requirement in location.access.requirements {
            if case .policy = requirement.demand {
                policies.append(requirement)
            } else {
                requirements.append(requirement)
            }
        }
        methods = location.access.methods
        isReport = location.access.isReport
        tokenRecheck = location.tokenRecheck
        grantsWildcards = location.access.grantsWildcards
        revocation = location.access.revocation.map {
            Argument(configuration.revocations[$0].name, position: location.position)
        }
        identityHeaders = location.identityHeaders
        identityToken = location.identityToken
        forwardsToken = location.forwardsToken
        addedHeaders = location.addedHeaders
        crossOrigin = location.crossOrigin
        strippedCookies = location.strippedCookies
        guard case .proxy(let pass) = location.action else { return }
        upstreamFields = [FieldTemplate(name: "Host", value: pass.host)] + pass.setHeaders
        connectTimeout = pass.connectTimeout
        readTimeout = pass.readTimeout
        sendTimeout = pass.sendTimeout
        prefersFrames = pass.prefersFrames
        if let tls = configuration.upstreams[pass.upstream].tls { upstreamTLS = UpstreamTLSDraft(tls) }
        sourceHeader = pass.sourceHeader
    }
}
