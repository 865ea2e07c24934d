// The life of a request, in order: begin, route, authenticate, authorize, admit, and then answer or forward (Forwarding.swift).
// An exchange is plain state in a slot; its steps are methods of the worker, which alone acts.
import Bytes
import Configuration
import Connections
import HTTP
import JOSE
import Policy
import Reactor
import Telemetry
import Transport

struct Exchange: ~Copyable {
    private let inPlace = InPlace()
    let client: SlotID
    /// Where the client's connection carries several at once.
    let stream: SlotID
    let head: SlotID
    let snapshot: SlotID
    let started: Instant
    let requestID: RequestID
    var route: Int32
    /// Bytes of the path that the location matched, for `proxy_pass` with a URI.
    var matchedPrefix: Int32 = 0
    var upstream = SlotID.none
    /// Where the upstream's connection carries several at once: which of them, and until when the upstream has time.
    var call = SlotID.none
    var callDue = Instant(nanoseconds: 0)
    /// Place of the chosen endpoint in its group, and those tried before it, a bit each.
    var peer: Int32 = -1
    var tried: UInt64 = 0
    var tries: UInt8 = 0
    /// An idle connection turned out dead: the next attempt takes a new one.
    var wantsFreshConnection = false
    var principals = PrincipalSet.anonymous
    var principal: Principal { principals.first }
    /// Why the request does not go on, and whose keys it waits for.
    var waiting = Waiting.nothing
    var awaited = SlotID.none
    /// It waited for keys once, which is enough.
    var hasWaited = false
    /// Until when it waits for keys.
    var awaitsUntil: Instant?
    /// Services that were asked for it, and what came of that (`Authenticator.settle`).
    var lookups: UInt8 = 0
    var settled = SlotID.none
    /// What a service had said was older than a revocation, so that it is asked once more.
    var asksAnew = false
    /// What it has besides if it may last, see LongExchange.swift.
    var long = SlotID.none
    /// Whom it is from, if a trusted proxy said so, see RequestSource.swift.
    var source = SlotID.none
    /// Where the credentials stood that were believed (some places say more about who may cache the answer, or who asks), and
    /// the bytes that no log may show.
    var places = CredentialPlaces()
    var secrets = SecretRanges()
    /// The token's verdict was known.
    var wasCached = false
    /// Nobody asked who sends it: a browser did, before a script's request.
    var isPreflight = false
    var reason: LocalResponse?
    /// Number of the location's demand that is not met, for the log.
    var demand: Int32 = -1
    /// `auth_mode report`: for what the request would have been refused.
    var wouldDeny: LocalResponse?
    var status: Int32 = 0
    var upstreamStatus: Int32 = 0
    /// Some of the body went to an upstream: the request cannot be sent again.
    var bodyWasForwarded = false
    var bodyReceived: UInt64 = 0
    var bodySent: UInt64 = 0
    /// Time in which we waited for the body, and since when we wait now.
    var bodyNanoseconds: UInt64 = 0
    var waitingSince: Instant?
    var upstreamStarted: Instant?
    var upstreamConnected: Instant?
    var upstreamAnswered: Instant?
}

extension Worker {
    // MARK: messages from a client

    mutating func readClient(_ id: SlotID) {
        while clients.contains(id) {
            if clients[id].isReadingBody && !clients[id].discards && !bodyMayFlow(id) { return }
            if clients[id].session != .none && clients[id].outputCount >= ConnectionLimits.backPressure { return }
            switch clients[id].receive(into: &input, &buffers) {
            case .nothing: if !settles(id) { return awaitClient(id) }
            case .closed: return clientEnded(id)
            case .failed: return clientGone(id)
            case .bytes:
                counters.tally.clientBytesReceived &+= clients[id].takeReceived()
                takeRequests(id)
            }
            guard clients.contains(id), clients[id].canProceed else { return }
        }
    }
    /// A body is read only while somebody takes it.
    mutating func bodyMayFlow(_ id: SlotID) -> Bool { takesBody(clients[id].exchange) }
    mutating func takesBody(_ id: SlotID) -> Bool {
        guard exchanges.contains(id) else { return false }
        let upstream = exchanges[id].upstream, call = exchanges[id].call
        guard upstreams.contains(upstream), !upstreams[upstream].isConnecting else { return false }
        let waiting = call == .none ? upstreams[upstream].outputCount : upstreams[upstream].waiting(call)
        return waiting < ConnectionLimits.backPressure
    }
    private mutating func takeRequests(_ id: SlotID) {
        let limits = snapshots[current].limits[Int(clients[id].listener)].http
        while true {
            if clients[id].isReadingBody && !clients[id].discards && !bodyMayFlow(id) {
                return clients[id].keep(&input, &buffers)
            }
            switch clients[id].next(in: &input, head: &heads[spare], limits: limits) {
            case .head: begin(id)
            case .body(let n): if !forwardBody(id, n) { return }
            case .end: requestEnded(clients[id].exchange)
            case .starved:
                clients[id].keep(&input, &buffers)
                return awaitClient(id)
            case .paused: return clients[id].keep(&input, &buffers)
            case .malformed(let error): return malformed(id, error)
            case .overrun: return clientGone(id)
            case .streams: return takeFrames(id)
            }
        }
    }
    /// Sends on what came of a body. False: the exchange is over.
    private mutating func forwardBody(_ id: SlotID, _ n: Int) -> Bool {
        if clients[id].isTunnel {
            passUp(id, n)
            return true
        }
        let exchange = clients[id].exchange
        let upstream = exchanges[exchange].upstream
        guard countBody(exchange, n) else { return false }
        exchanges[exchange].bodyWasForwarded = true
        relayRequestBody(n, of: &input, to: &upstreams[upstream], exchanges[exchange].call, &buffers)
        armAnswer(exchange, upstream, route(of: exchange).upstreamSendNanoseconds)
        markDirty(upstream: upstream)
        return true
    }
    /// So much of a body came. False: it is too much, and the exchange is over.
    mutating func countBody(_ id: SlotID, _ n: Int) -> Bool {
        exchanges[id].bodyReceived &+= UInt64(n)
        stopBodyClock(id)
        let limit = route(of: id).bodySize
        guard limit > 0 && exchanges[id].bodyReceived > UInt64(limit) else { return true }
        refuse(id, .bodyTooLarge)
        return false
    }
    mutating func requestEnded(_ id: SlotID) {
        guard exchanges.contains(id) else { return }
        if stage(of: id) == .tunnel { return tunnelInputEnded(id) }
        stopBodyClock(id)
        arm(id, Self.farNanoseconds)
        let upstream = exchanges[id].upstream
        guard upstreams.contains(upstream), !upstreams[upstream].requestHasEnded else { return }
        endRequest(id, to: upstream)
        // It has all there is: now its answer is due.
        if exchanges[id].bodyWasForwarded { armAnswer(id, upstream, route(of: id).readNanoseconds) }
        markDirty(upstream: upstream)
    }

    // MARK: the steps

    private mutating func begin(_ client: SlotID) {
        guard let id = makeExchange(client) else { return clientGone(client) }
        clients[client].exchange = id
        armClient(client, Self.farNanoseconds)
        route(id)
    }
    /// Takes the spare head. Nil: there are as many as may be.
    mutating func makeExchange(_ client: SlotID, _ stream: SlotID = .none) -> SlotID? {
        let fallback = snapshots[current].limits[Int(clients[client].listener)].route
        let exchange = Exchange(
            client: client, stream: stream, head: spare, snapshot: current, started: loop.now,
            requestID: requestIDs.next(), route: fallback)
        guard let id = exchanges.insert(exchange) else { return nil }
        snapshots[current].exchanges += 1
        spare = heads.take()
        return id
    }

    mutating func route(_ id: SlotID) {
        let client = exchanges[id].client, head = exchanges[id].head
        if clients[client].isBelieved { takeSource(of: id) }
        switch snapshots[current].table.match(heads[head], listener: Int(clients[client].listener)) {
        case .route(let route, let matchedPrefix):
            exchanges[id].route = Int32(truncatingIfNeeded: route)
            exchanges[id].matchedPrefix = Int32(truncatingIfNeeded: matchedPrefix)
            let found = snapshots[current].routes[route]
            if clients[client].requests >= found.keepaliveRequests || found.keepaliveNanoseconds == 0 || isDraining {
                closeAfterResponse(id)
            }
            if clients[client].isMisdirected(to: found.clientRules) { return refuse(id, .misdirected) }
            // Two of them, and nobody knows which one the next server believes (RFC 9110 section 5.3).
            if heads[head].count(of: .authorization) > 1 { return refuse(id, .invalidRequest) }
            if found.crossOrigin >= 0 && heads[head].method == .options && CrossOrigin.isPreflight(heads[head]) {
                return preflight(id, found)
            }
            authenticate(id, found)
        case .refused(let response, let route):
            exchanges[id].route = Int32(truncatingIfNeeded: route)
            refuse(id, response)
        }
    }

    /// Browsers send a preflight without credentials, so it is answered before anybody asks for them.
    private mutating func preflight(_ id: SlotID, _ route: Route) {
        exchanges[id].isPreflight = true
        switch snapshots[current].crossOrigin.preflight(heads[exchanges[id].head], block: Int(route.crossOrigin)) {
        case .answer: answerPreflight(id)
        case .refuse: refuse(id, .originDenied)
        case .pass: admit(id, route)
        }
    }

    mutating func authenticate(_ id: SlotID, _ route: Route, _ hash: SHA256Value? = nil) {
        guard route.provider >= 0 else { return admit(id, route) }
        let hits = authenticator.hits
        let head = exchanges[id].head
        let plan = snapshots[exchanges[id].snapshot].plans[Int(route.location)]
        let certificate = plan.wantsCertificate ? certificate(of: id) : .none
        let verdict = authenticator.evaluate(
            heads[head], plan, now: loop.wallSeconds, time: loop.now, isFinal: exchanges[id].hasWaited, hash: hash,
            certificate: certificate, settled: exchanges[id].settled)
        if !plan.isPlain {
            noteCredentials(id)
            if !verdict.isPending { authenticator.forget(&exchanges[id].settled) }
        }
        switch verdict {
        case .authenticated(let principal):
            exchanges[id].principals = PrincipalSet(principal)
            exchanges[id].wasCached = authenticator.hits != hits
            authorize(id, exchanges[id].principals, route)
        case .authenticatedByAll(let principals):
            exchanges[id].principals = principals
            exchanges[id].wasCached = authenticator.hits &- hits == UInt64(principals.count)
            authorize(id, principals, route)
        case .refused(let response): deny(id, response, route)
        case .later: awaitTurn(id)
        case .awaitKeys(let provider, let limit): awaitKeys(id, of: provider, atMost: limit)
        case .lookup(let provider): awaitLookup(id, of: provider)
        case .nameCertificate(let provider): nameCertificate(id, for: provider, route)
        }
    }

    private mutating func authorize(_ id: SlotID, _ principals: PrincipalSet, _ route: Route) {
        let head = exchanges[id].head, snapshot = exchanges[id].snapshot
        if exchanges[id].places.contains(.cookie) && !isOfOwnSite(id, route) { return refuse(id, .originDenied) }
        let location = Int(route.location)
        let revocations = snapshots[snapshot].revocations[location]
        if revocations >= 0, let refusal = revocation(principals, revocations) {
            if refusal == .apiKeyRevoked, asksAnew(id, revocations) { return authenticate(id, route) }
            return deny(id, refusal, route)
        }
        if route.usesCaptures { snapshots[snapshot].table.capture(heads[head], location: location, into: &captured) }
        switch evaluate(
            &snapshots[snapshot].authorization, location, principals, authenticator, heads[head], address(of: id),
            captured)
        {
        case .allowed: admit(id, route)
        case .denied(let demand):
            exchanges[id].demand = Int32(truncatingIfNeeded: demand)
            let response = snapshots[snapshot].authorization.response(location: location, demand: demand)
            missing.clear()
            if response == .insufficientScope {
                appendMissing(
                    &snapshots[snapshot].authorization, location, demand, principals, authenticator, heads[head],
                    address(of: id), captured, to: &missing)
            }
            deny(id, response, route)
        }
    }

    /// A browser adds cookies to whatever page's request.
    private mutating func isOfOwnSite(_ id: SlotID, _ route: Route) -> Bool {
        let isSecure = isSecure(id)
        return CrossSite.accepts(
            heads[exchanges[id].head], isTLS: isSecure, snapshots[exchanges[id].snapshot].crossOrigin,
            block: Int(route.crossOrigin))
    }

    /// Refuses for the sake of who is asking; in `auth_mode report` that is counted only, and the request goes on as nobody's.
    mutating func deny(_ id: SlotID, _ response: LocalResponse, _ route: Route) {
        guard route.isReport else { return refuse(id, response) }
        counters.wouldDeny(route: Int(route.location), reason: Int(response.rawValue))
        exchanges[id].wouldDeny = response
        letGoPrincipals(id)
        admit(id, route)
    }

    /// Why a credential that is good in itself is refused; nil: it is not.
    private mutating func revocation(_ principals: PrincipalSet, _ block: Int32) -> LocalResponse? {
        switch authenticator.judge(principals, revocations: block, now: loop.wallSeconds, time: loop.now) {
        case .good: return nil
        case .goodThoughStale:
            counters.tally.staleRevocationPasses &+= 1
            return nil
        case .revoked: return authenticator.hasKey(principals) ? .apiKeyRevoked : .tokenRevoked
        case .stale: return .revocationStale
        }
    }

    /// What a service said of an API key may be older than the revocation: it is asked once more, and then believed.
    private mutating func asksAnew(_ id: SlotID, _ block: Int32) -> Bool {
        let principals = exchanges[id].principals
        guard !exchanges[id].asksAnew else {
            authenticator.refuseKeys(principals, now: loop.wallSeconds)
            return false
        }
        exchanges[id].asksAnew = authenticator.forgetOutdatedKeys(
            principals, revocations: block, now: loop.wallSeconds, time: loop.now)
        if exchanges[id].asksAnew { letGoPrincipals(id) }
        return exchanges[id].asksAnew
    }

    /// Method, size and expectation: asked last, so that strangers learn nothing from the answers.
    private mutating func admit(_ id: SlotID, _ route: Route) {
        if exchanges[id].long != .none { return stays(id) }
        let head = exchanges[id].head
        let method = heads[head].method
        if method == .connect || method == .trace { return refuse(id, .methodNotAllowed) }
        if route.bodySize > 0 && heads[head].contentLength > route.bodySize { return refuse(id, .bodyTooLarge) }
        let mayLast = route.recheckNanoseconds > 0 || heads[head].hasUpgrade
        if mayLast, route.action != .notFound, !prepare(id, route) { return }
        switch route.action {
        case .notFound: refuse(id, .notFound)
        case .answer: answer(id)
        case .proxy:
            if heads[head].expectsContinue && awaitsContinue(id) { sendContinue(id) }
            forward(id, route)
        }
    }
}

/// What the rules of a location say of a request.
private func evaluate(
    _ authorization: inout Authorization, _ location: Int, _ principals: PrincipalSet,
    _ authenticator: borrowing Authenticator, _ head: borrowing RequestHead, _ address: ClientAddress,
    _ captured: borrowing CapturedGroups
) -> Authorization.Verdict {
    authorization.evaluate(location: location, principals, authenticator, head, address: address.bytes, captured)
}
private func appendMissing(
    _ authorization: inout Authorization, _ location: Int, _ demand: Int, _ principals: PrincipalSet,
    _ authenticator: borrowing Authenticator, _ head: borrowing RequestHead, _ address: ClientAddress,
    _ captured: borrowing CapturedGroups, to out: inout ByteBuffer
) {
    authorization.appendMissing(
        location: location, demand: demand, principals, authenticator, head, address: address.bytes, captured,
        to: &out)
}
