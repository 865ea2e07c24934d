// Answers what a gateway would do with one request, by the code that does it, without a socket. The order of the steps is that of
// `Exchange.swift`; the end-to-end tests hold the two against each other.
package import Bytes
package import Configuration
import Connections
import HTTP
package import JOSE
package import Policy
import Reactor

/// A request as a client would send it.
package struct ExplainedRequest: Sendable {
    package var method: String
    package var target: String
    /// Host among them.
    package var fields: [(name: String, value: String)]
    /// Index of the listener that it comes to.
    package var listener: Int
    /// Put where the provider of its location looks for it.
    package var token: [UInt8]?
    package var address: IPAddress
    /// Wall-clock seconds.
    package var now: Int64
    /// A trusted proxy that brings it, and what it says; the address is then the one that it names.
    var proxy: IPAddress?
    var chain: ForwardedChain?

    package init(
        method: String, target: String, fields: [(name: String, value: String)], listener: Int, token: [UInt8]?,
        address: IPAddress, now: Int64
    ) {
        self.method = method
        self.target = target
        self.fields = fields
        self.listener = listener
        self.token = token
        self.address = address
        self.now = now
    }

    /// As it goes over the wire.
    var bytes: [UInt8] {
        var bytes = Array("\(method) \(target) HTTP/1.1\r\n".utf8)
        for field in fields { bytes += Array("\(field.name): \(field.value)\r\n".utf8) }
        return bytes + Array("\r\n".utf8)
    }

    /// The same with the token in that place.
    func with(_ token: [UInt8], in place: CredentialPlace) -> ExplainedRequest {
        var copy = self
        let text = String(decoding: token, as: UTF8.self)
        switch place {
        case .bearer: copy.fields.append(("Authorization", "Bearer " + text))
        case .field(let name): copy.fields.append((String(decoding: name, as: UTF8.self), text))
        case .cookie(let name):
            let pair = String(decoding: name, as: UTF8.self) + "=" + text
            if let index = fields.firstIndex(where: { $0.name.lowercased() == "cookie" }) {
                copy.fields[index].value += "; " + pair
            } else {
                copy.fields.append(("Cookie", pair))
            }
        case .query(let name):
            copy.target += (target.contains("?") ? "&" : "?") + String(decoding: name, as: UTF8.self) + "=" + text
        }
        return copy
    }
}

/// How far the request came, and what became of it.
struct ExplainedOutcome {
    /// Index of the location: until one is found, the fallback of the listener's default server.
    var route: Int
    var matchedPrefix = 0
    var malformation: MessageError?
    var isRouted = false
    var isPreflight = false
    var isAsked = false
    /// Whoever was found to send it, and those in whose name it goes on.
    var found = PrincipalSet.anonymous
    var principals = PrincipalSet.anonymous
    var isAuthenticated: Bool { principals.first.isKnown }
    var refusal: LocalResponse?
    /// The provider whose service says what becomes of it.
    var dependsOn: String?
    /// Where its credentials were found.
    var places = CredentialPlaces()
    /// `auth_mode report`
    var wouldDeny: LocalResponse?
    /// Number of the location's demand that is not met; nil: all are.
    var demand: Int?
    /// An allowed preflight, or what `return` says.
    var isAnswered = false
}

package struct Explainer: ~Copyable {
    let configuration: GatewayConfiguration
    var snapshot: Snapshot
    var authenticator: Authenticator
    var head = RequestHead()
    var responses = LocalResponseWriter()
    var added = ByteBuffer(capacity: 1024)
    var text = ByteBuffer(capacity: 256)
    var captured = CapturedGroups()
    /// Permissions and scopes for the challenge.
    var missing = ByteBuffer(capacity: 64)
    /// What the sources of keys have, by provider.
    var keys: [String: JSONWebKeySet]
    /// What a gateway keeps on the disk of what was revoked.
    var journal = ExplainedJournal.none

    /// Nil when the configuration cannot be put to use: the diagnostics say why.
    package init?(
        _ configuration: GatewayConfiguration, keys: [String: JSONWebKeySet], _ diagnostics: inout [Diagnostic]
    ) {
        var pool = UpstreamPool()
        guard var snapshot = Snapshot.compile(configuration, into: &pool, &diagnostics) else { return nil }
        var authenticator = Authenticator(configuration.providers, workers: 1)
        authenticator.update(configuration.providers, configuration.revocations)
        for (name, set) in keys { authenticator.install(set, provider: name) }
        snapshot.plans = authenticator.plans(configuration.locations.map(\.access))
        snapshot.revocations = authenticator.revocationBlocks(configuration.locations)
        self.configuration = configuration
        self.snapshot = snapshot
        self.authenticator = authenticator
        self.keys = keys
    }

    /// The time of the clock on the wall.
    package static var wallSeconds: Int64 { EventLoop.wallMilliseconds / 1000 }

    /// Everything about one request.
    package mutating func explain(_ request: ExplainedRequest) -> Explanation {
        let placed = place(request)
        let request = source(of: placed, request)
        let outcome = judge(placed.bytes, request)
        var explanation = Explanation(now: request.now)
        explanation.clock = ExplainedTime.date(request.now)
        explanation.method = request.method
        explanation.target = request.target
        explanation.route = configuration.locations[outcome.route].name
        describeMessage(outcome, request, &explanation)
        if outcome.isRouted { describeRoute(outcome, request, &explanation) }
        if outcome.isAsked { describeCredential(outcome, request, &explanation) }
        describeAdmission(outcome, &explanation)
        answer(outcome, request, &explanation)
        advise(outcome, request, &explanation)
        conceal(request, &explanation)
        for i in 0..<Int(outcome.found.count) { authenticator.release(outcome.found[i]) }
        return explanation
    }

    /// Nothing that is secret leaves: not the token, and not what the configuration has from files and the environment.
    private func conceal(_ request: ExplainedRequest, _ explanation: inout Explanation) {
        let token = request.token.map { String(decoding: $0, as: UTF8.self) } ?? ""
        let signature = token.split(separator: ".").dropFirst(2).first.map(String.init) ?? ""
        func hide(_ text: inout String) {
            for secret in [token, signature] where secret.utf8.count > 3 { text = text.replacing(secret, with: "***") }
        }
        func hideAll(_ text: inout String) {
            hide(&text)
            text = configuration.concealed.masking(text)
        }
        for i in explanation.steps.indices {
            if var text = explanation.steps[i].expected {
                hideAll(&text)
                explanation.steps[i].expected = text
            }
            if var text = explanation.steps[i].got {
                hide(&text)
                explanation.steps[i].got = text
            }
        }
        for i in explanation.advice.indices { hideAll(&explanation.advice[i]) }
        for i in explanation.endpoints.indices { hideAll(&explanation.endpoints[i]) }
        hideAll(&explanation.upstream)
        hideAll(&explanation.response)
        hideAll(&explanation.forwarded)
        hide(&explanation.target)
    }
}

// The steps of a request, in the order of `Exchange.swift`.
extension Explainer {
    /// The request with its token where a provider of its location looks for one.
    private mutating func place(_ request: ExplainedRequest) -> ExplainedRequest {
        guard let token = request.token else { return request }
        var place = CredentialPlace.bearer
        let limits = snapshot.limits[request.listener].http
        if case .complete = head.parse(request.bytes.span, limits: limits),
            case .route(let route, _) = snapshot.table.match(head, listener: request.listener)
        {
            let providers = configuration.locations[route].access.providers.map { configuration.providers[$0] }
            place = taker(of: token, providers)?.places.first ?? .bearer
        }
        head.clear()
        return request.with(token, in: place)
    }
    /// The same from whom its fields say, where who sends it is believed, as in `RequestSource.swift`.
    private mutating func source(of placed: ExplainedRequest, _ request: ExplainedRequest) -> ExplainedRequest {
        var request = request
        let trusted = configuration.listeners[request.listener].trusted
        let limits = snapshot.limits[request.listener].http
        guard trusted.contains(request.address), case .complete = head.parse(placed.bytes.span, limits: limits) else {
            head.clear()
            return request
        }
        let chain = ForwardedChain(head, trusting: trusted)
        head.clear()
        if chain.isEmpty { return request }
        request.proxy = request.address
        request.chain = chain
        if let client = chain.client { request.address = client.address }
        return request
    }
    /// Signed tokens are known by their shape, keys by how they begin.
    private func taker(of token: [UInt8], _ providers: [AuthProvider]) -> AuthProvider? {
        let isSigned = UnpackedToken(token).parts == 3
        let keys = providers.first { provider in
            provider.kind == .apiKey && (provider.keyPrefix.map { token.starts(with: Array($0.utf8)) } ?? !isSigned)
        }
        return keys ?? providers.first { $0.kind == (isSigned ? .jwt : .introspection) }
            ?? providers.first { $0.kind == .jwt || $0.kind == .introspection || $0.kind == .apiKey }
    }

    private mutating func judge(_ bytes: [UInt8], _ request: ExplainedRequest) -> ExplainedOutcome {
        let limits = snapshot.limits[request.listener]
        var outcome = ExplainedOutcome(route: Int(limits.route))
        var progress = HeadProgress()
        switch head.parse(bytes.span, limits: limits.http, progress: &progress) {
        case .complete: route(request, &outcome)
        case .incomplete: outcome.refusal = .requestTimeout
        case .failed(let error):
            outcome.malformation = error
            outcome.refusal = LocalResponse(error)
            head.clear()
        }
        return outcome
    }

    private mutating func route(_ request: ExplainedRequest, _ outcome: inout ExplainedOutcome) {
        outcome.isRouted = true
        switch snapshot.table.match(head, listener: request.listener) {
        case .refused(let response, let route):
            outcome.route = route
            outcome.refusal = response
        case .route(let route, let matchedPrefix):
            outcome.route = route
            outcome.matchedPrefix = matchedPrefix
            let found = snapshot.routes[route]
            if BearerToken.isRepeated(head) {
                outcome.isAsked = true
                outcome.refusal = .invalidRequest
            } else if found.crossOrigin >= 0 && head.method == .options && CrossOrigin.isPreflight(head) {
                preflight(found, &outcome)
            } else {
                authenticate(found, request, &outcome)
            }
        }
    }

    private mutating func preflight(_ route: Route, _ outcome: inout ExplainedOutcome) {
        outcome.isPreflight = true
        switch snapshot.crossOrigin.preflight(head, block: Int(route.crossOrigin)) {
        case .answer: outcome.isAnswered = true
        case .refuse: outcome.refusal = .originDenied
        case .pass: admit(route, &outcome)
        }
    }

    private mutating func authenticate(
        _ route: Route, _ request: ExplainedRequest, _ outcome: inout ExplainedOutcome
    ) {
        guard route.provider >= 0 else { return admit(route, &outcome) }
        outcome.isAsked = true
        let plan = snapshot.plans[Int(route.location)]
        let verdict = verdict(plan, now: request.now)
        outcome.places = authenticator.places
        if outcome.places.contains(.query) { head.hideArgument(at: authenticator.secrets.argument) }
        switch verdict {
        case .authenticated(let principal): outcome.found = PrincipalSet(principal)
        case .authenticatedByAll(let principals): outcome.found = principals
        case .refused(let response): return deny(response, route, &outcome)
        case .later, .awaitKeys: return deny(.overloaded, route, &outcome)
        case .lookup(let provider), .nameCertificate(let provider):
            outcome.dependsOn = authenticator.name(of: provider) ?? ""
            return
        }
        outcome.principals = outcome.found
        authorize(route, request, &outcome)
    }

    private mutating func authorize(
        _ route: Route, _ request: ExplainedRequest, _ outcome: inout ExplainedOutcome
    ) {
        let isTLS = request.chain?.isSecure ?? configuration.listeners[request.listener].isTLS
        if outcome.places.contains(.cookie),
            !CrossSite.accepts(head, isTLS: isTLS, snapshot.crossOrigin, block: Int(route.crossOrigin))
        {
            outcome.refusal = .originDenied
            return
        }
        let location = Int(route.location)
        if isRevoked(outcome.found, location: location, now: request.now) {
            return deny(.tokenRevoked, route, &outcome)
        }
        let address = Array(request.address.text.utf8)
        captured.clear()
        missing.clear()
        if route.usesCaptures { snapshot.table.capture(head, location: location, into: &captured) }
        switch snapshot.authorization.evaluate(
            location: location, outcome.found, authenticator, head, address: address.span, captured)
        {
        case .allowed: admit(route, &outcome)
        case .denied(let demand):
            outcome.demand = demand
            let response = snapshot.authorization.response(location: location, demand: demand)
            if response == .insufficientScope {
                snapshot.authorization.appendMissing(
                    location: location, demand: demand, outcome.found, authenticator, head, address: address.span,
                    captured, to: &missing)
            }
            deny(response, route, &outcome)
        }
    }

    private func deny(_ response: LocalResponse, _ route: Route, _ outcome: inout ExplainedOutcome) {
        guard route.isReport else {
            outcome.refusal = response
            return
        }
        outcome.wouldDeny = response
        outcome.principals = .anonymous
        admit(route, &outcome)
    }

    /// Who sends the request; nothing is waited for, because nothing would come.
    mutating func verdict(_ plan: AuthenticationPlan, now: Int64) -> AuthenticationVerdict {
        authenticator.beginVerifying()
        return authenticator.evaluate(head, plan, now: now, time: Instant(nanoseconds: 0), isFinal: true)
    }

    private func admit(_ route: Route, _ outcome: inout ExplainedOutcome) {
        if head.method == .connect || head.method == .trace {
            outcome.refusal = .methodNotAllowed
        } else if route.bodySize > 0 && head.contentLength > route.bodySize {
            outcome.refusal = .bodyTooLarge
        } else if route.action != .notFound && head.hasUpgrade,
            case .refused(let response) = handshake(route)
        {
            outcome.refusal = response
        } else {
            switch route.action {
            case .notFound: outcome.refusal = .notFound
            case .answer: outcome.isAnswered = true
            case .proxy: break
            }
        }
    }

    /// What the request is where it asks for a WebSocket.
    func handshake(_ route: Route) -> WebSocketHandshake.Verdict {
        WebSocketHandshake.judge(head, passes: route.action == .proxy && route.passesUpgrades)
    }
}
