// Drafts to the immutable tree: names become indices, nested locations become one list, `listen` lines become
// listeners.

extension ConfigurationReader {
    mutating func assemble(_ draft: ServerDraft, _ statement: Statement) {
        let index = configuration.servers.count
        let fallback = location(
            .fallback, label: LocationMatch.fallback.text, draft.scope, server: index, serverName: draft.names.first,
            action: draft.scope.answer ?? .notFound)
        configuration.locations.append(fallback)
        var server = Server(fallback: configuration.locations.count - 1, position: statement.position)
        server.names = draft.names
        configuration.servers.append(server)
        for child in draft.scope.locations {
            configuration.servers[index].locations.append(append(child, server: index, serverName: draft.names.first))
        }
        bind(draft, server: index, statement)
    }

    private mutating func append(_ draft: LocationDraft, server: Int, serverName: ServerName?) -> Int {
        var action = draft.scope.answer ?? .notFound
        if let target = draft.target { action = .proxy(proxyPass(target, effective(draft.scope.settings))) }
        let index = configuration.locations.count
        configuration.locations.append(
            location(
                draft.match, label: draft.label, draft.scope, server: server, serverName: serverName, action: action))
        for child in draft.scope.locations {
            let child = append(child, server: server, serverName: serverName)
            configuration.locations[index].children.append(child)
        }
        return index
    }

    private func location(
        _ match: LocationMatch, label: String, _ scope: RouteScope, server: Int, serverName: ServerName?,
        action: LocationAction
    ) -> Location {
        let settings = effective(scope.settings)
        var location = Location(
            match: match, server: server, name: distinctName(label, serverName), position: scope.position)
        location.action = action
        location.access = access(settings)
        location.limits = settings.limits
        location.errorDetail = settings.errorDetail
        location.identityHeaders = settings.identityHeaders
        if !location.access.providers.isEmpty { location.identityToken = settings.identityToken }
        location.forwardsToken = settings.forwardsToken
        location.addedHeaders = settings.addedHeaders
        location.crossOrigin = settings.crossOrigin
        location.tokenRecheck = settings.tokenRecheck
        location.strippedCookies = settings.strippedCookies
        location.accessLog = settings.accessLog
        location.pathGuard = settings.pathGuard
        return location
    }

    /// With `auth off`, what is inherited of the identity is empty: a response field then is none, a request field is
    /// removed.
    private func effective(_ settings: RouteSettings) -> RouteSettings {
        guard access(settings).providers.isEmpty else { return settings }
        var settings = settings
        for index in settings.upstreamFields.indices {
            settings.upstreamFields[index].value = settings.upstreamFields[index].value.withoutIdentity
        }
        for index in settings.addedHeaders.indices {
            settings.addedHeaders[index].field.value = settings.addedHeaders[index].field.value.withoutIdentity
        }
        settings.addedHeaders.removeAll { $0.field.value.pieces.isEmpty }
        return settings
    }

    private func access(_ settings: RouteSettings) -> Access {
        var access = Access()
        if let auth = settings.auth {
            access.mode = auth.mode
            access.providers = auth.providers.compactMap { word in
                configuration.providers.firstIndex { $0.name == word.text }
            }
        }
        access.passesPreflights = settings.crossOrigin?.passesPreflights ?? false
        // What a location with `auth off` inherits demands nothing there.
        guard !access.providers.isEmpty else { return access }
        access.requirements = settings.requirements + settings.policies
        access.methods = settings.methods
        access.isReport = settings.isReport
        access.revocation = configuration.revocations.firstIndex { $0.name == settings.revocation?.text }
        access.grantsWildcards = settings.grantsWildcards
        return access
    }

    /// Labels of metrics: two locations with the same path in different servers or blocks stay two.
    private func distinctName(_ label: String, _ serverName: ServerName?) -> String {
        func isTaken(_ name: String) -> Bool { configuration.locations.contains { $0.name == name } }
        if !isTaken(label) { return label }
        let named = serverName.map { "\(label) of \($0.written)" } ?? label
        if !isTaken(named) { return named }
        var number = 2
        while isTaken("\(named) #\(number)") { number += 1 }
        return "\(named) #\(number)"
    }

    private mutating func proxyPass(_ target: ProxyTarget, _ settings: RouteSettings) -> ProxyPass {
        let isSocketPath = target.authority.hasPrefix("unix:")
        var pass = ProxyPass(
            // The path of a socket is no host; nginx says "localhost" there too.
            upstream: upstream(target, settings), scheme: target.scheme,
            host: isSocketPath ? Template(text: "localhost") : Template([.variable(.proxyHost)]))
        pass.uri = target.uri
        pass.prefersFrames = settings.prefersFrames
        pass.connectTimeout = settings.connectTimeout
        pass.readTimeout = settings.readTimeout
        pass.sendTimeout = settings.sendTimeout
        pass.sourceHeader = settings.sourceHeader
        pass.setHeaders = settings.upstreamFields.filter { $0.foldedName != "host" }
        if let host = settings.upstreamFields.first(where: { $0.foldedName == "host" }) { pass.host = host.value }
        return pass
    }
}

extension ConfigurationReader {
    private mutating func bind(_ draft: ServerDraft, server: Int, _ statement: Statement) {
        if !draft.saysListen {
            report(statement.error("this server has no \"listen\"", suggestion: "write \"listen 8080;\""))
        }
        if draft.listens.contains(where: \.isTLS) {
            do throws(Diagnostic) {
                configuration.servers[server].tls = try settings(draft.tls, for: statement.position)
            } catch {
                report(error)
            }
        }
        for listen in draft.listens {
            for address in listen.addresses { bind(address, listen, draft, server: server) }
        }
    }

    private mutating func bind(
        _ address: ListenAddress, _ listen: ListenDraft, _ draft: ServerDraft, server: Int
    ) {
        let word = listen.word
        guard let index = configuration.listeners.firstIndex(where: { $0.address == address }) else {
            guard configuration.listeners.count < GatewayConfiguration.maximumListeners else {
                return report(
                    word.error("at most \(GatewayConfiguration.maximumListeners) addresses can be listened on"))
            }
            var listener = Listener(address: address, defaultServer: server, position: word.position)
            listener.isTLS = listen.isTLS
            listener.takesProxyProtocol = listen.takesProxyProtocol
            listener.trusted = draft.scope.settings.limits.trustedProxies
            listener.backlog = listen.backlog ?? listener.backlog
            listener.streams = draft.streams.streams
            configuration.listeners.append(listener)
            configuration.servers[server].listeners.append(configuration.listeners.count - 1)
            if listen.isDefault { saidDefault[configuration.listeners.count - 1] = word.position }
            return
        }
        let earlier = configuration.listeners[index]
        let place = earlier.position.text
        if configuration.servers[server].listeners.contains(index) {
            return report(word.error("duplicate listen \"\(word.shown)\": the first one is at \(place)"))
        }
        if let clash = clash(listen, draft, earlier) { return report(word.error(clash)) }
        configuration.servers[server].listeners.append(index)
        guard listen.isDefault else { return }
        if let said = saidDefault[index] {
            return report(
                word.error("duplicate default_server for \"\(word.shown)\": the first one is at \(said.text)"))
        }
        saidDefault[index] = word.position
        configuration.listeners[index].defaultServer = server
        configuration.listeners[index].trusted = draft.scope.settings.limits.trustedProxies
    }

    /// Why a server cannot listen where another one does already.
    private func clash(_ listen: ListenDraft, _ draft: ServerDraft, _ earlier: Listener) -> String? {
        let (word, place) = (listen.word.shown, earlier.position.text)
        if earlier.isTLS != listen.isTLS {
            return "\"\(word)\" is listened to with and without \"ssl\": the other one is at \(place)"
        }
        if earlier.takesProxyProtocol != listen.takesProxyProtocol {
            return "\"\(word)\" is listened to with and without \"proxy_protocol\": the other one is at \(place)"
        }
        if earlier.streams != draft.streams.streams {
            return "two servers on one address with different \"http2\" or \"http2_max_concurrent_streams\": "
                + "connections begin before the server is known; the other one is at \(place)"
        }
        guard let backlog = listen.backlog, backlog != earlier.backlog else { return nil }
        return "\"\(word)\" has another backlog (\(earlier.backlog)) at \(place)"
    }

    /// Clashes that show only when everything is known.
    mutating func checkListeners() {
        for listener in configuration.listeners where listener.takesProxyProtocol && listener.trusted.isEmpty {
            report(
                Diagnostic(
                    at: listener.position,
                    "nobody could connect here: \"proxy_protocol\" is believed of \"trusted_proxies\" alone, and there "
                        + "are none",
                    suggestion: "trusted_proxies 192.0.2.0/24;"))
        }
        if let admin = configuration.admin,
            let listener = configuration.listeners.first(where: { $0.address == admin.address })
        {
            report(
                Diagnostic(at: listener.position, "\"admin\" listens on this address too, at \(admin.position.text)"))
        }
        for (index, server) in configuration.servers.enumerated() {
            for other in configuration.servers[..<index] where !Set(other.listeners).isDisjoint(with: server.listeners)
            {
                let shared = server.effectiveNames.first { other.effectiveNames.contains($0) }
                if let shared {
                    report(
                        Diagnostic(
                            at: server.position,
                            "server_name \"\(shared.written)\" belongs to the server at \(other.position.text) "
                                + "on the same address: this one is unreachable by it",
                            length: 6))
                }
            }
        }
    }
}

extension Server {
    /// A server without a name is the one for requests without a host, as in nginx.
    fileprivate var effectiveNames: [ServerName] { names.isEmpty ? [.exact([])] : names }
}
