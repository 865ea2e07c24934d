// When an exchange does not go well: what happened, on whose side, and whether it may be tried again.
import Bytes
import Configuration
import Connections
import HTTP
import Policy
import Reactor
import Telemetry

struct ExchangeFailure {
    enum Side { case downstream, upstream, gateway }
    enum Retry {
        case never
        /// The peer may have closed an idle connection while the request was on its way.
        case ifConnectionWasReused
        /// Not one byte of the request can have been acted on.
        case always
    }
    let kind: LocalResponse
    let side: Side
    let retry: Retry

    init(_ kind: LocalResponse, _ side: Side, _ retry: Retry) {
        self.kind = kind
        self.side = side
        self.retry = retry
    }
}

extension Worker {
    /// An upstream's connection ended, failed, lied or was late.
    mutating func upstreamGone(_ id: SlotID, _ kind: LocalResponse) {
        if upstreams[id].isFramed { return sharedGone(id, kind) }
        let exchange = upstreams[id].exchange
        if upstreams[id].isTunnel && exchanges.contains(exchange) { return tunnelBroken(exchange, kind) }
        let neverSent = upstreams[id].isConnecting || !upstreams[id].hasSent
        let wasReused = upstreams[id].isReused && !upstreams[id].hasReceived && kind == .upstreamClosed
        let isUnreachable = upstreams[id].isConnecting
        closeUpstream(id)
        guard exchanges.contains(exchange) else { return }
        exchanges[exchange].upstream = .none
        // Nobody is to blame for it.
        if wasReused { exchanges[exchange].wantsFreshConnection = true }
        let shown: LocalResponse = isUnreachable && kind == .upstreamClosed ? .upstreamUnavailable : kind
        let retry: ExchangeFailure.Retry = neverSent ? .always : wasReused ? .ifConnectionWasReused : .never
        failed(exchange, ExchangeFailure(shown, .upstream, retry))
    }

    /// Tries once more where that is safe, or answers, or cuts the client off when an answer is already on its way.
    mutating func failed(_ id: SlotID, _ failure: ExchangeFailure) {
        let route = route(of: id)
        let wasStale = exchanges[id].wantsFreshConnection
        if failure.side == .upstream && !wasStale {
            let group = Int(route.upstream)
            counters.upstream(group, .failure)
            snapshots[exchanges[id].snapshot].balancers[group].failed(Int(exchanges[id].peer), now: loop.now)
        }
        if responseBegun(id) {
            exchanges[id].reason = failure.kind
            return cutOff(id)
        }
        if mayRetry(id, failure) {
            counters.upstream(Int(route.upstream), .retry)
            if !wasStale { exchanges[id].tried |= 1 << UInt64(exchanges[id].peer) }
            exchanges[id].reason = failure.kind
            return forward(id, route)
        }
        refuse(id, failure.kind)
    }
    private mutating func mayRetry(_ id: SlotID, _ failure: ExchangeFailure) -> Bool {
        // What was read of the body is gone, and a loop of attempts must end.
        if exchanges[id].bodyWasForwarded || exchanges[id].tries >= Self.triesLimit { return false }
        switch failure.retry {
        case .never: return false
        case .ifConnectionWasReused: return heads[exchanges[id].head].method.isIdempotent
        case .always: return true
        }
    }

    /// The message that the client is reading cannot be finished: it must not look whole.
    mutating func cutOff(_ id: SlotID) {
        let client = exchanges[id].client, stream = exchanges[id].stream
        log(id)
        if stream != .none { return endStream(stream, .failed) }
        clients[client].abort()
        closeClient(client)
    }

    // MARK: refusals

    /// Answers an exchange ourselves, and ends it.
    mutating func refuse(_ id: SlotID, _ kind: LocalResponse) {
        if exchanges[id].long != .none && endsForGood(id, kind) { return }
        leaveUpstream(id)
        exchanges[id].reason = kind
        counters.rejected(Int(kind.rawValue))
        if responseBegun(id) { return cutOff(id) }
        let closes = answerEndsConnection(id, kind.closesConnection)
        writeRefusal(id, kind, closes: closes)
        sendLocal(id, closes: closes)
    }
    private mutating func writeRefusal(_ id: SlotID, _ kind: LocalResponse, closes: Bool) {
        if kind != .insufficientScope { missing.clear() }
        let route = route(of: id)
        var form = form(id, route, closes: closes)
        form.format = AnswerFormat(for: heads[exchanges[id].head])
        added.clear()
        writeResponseFields(route, status: form.format.sentStatus(kind.status), of: id)
        if kind == .authServiceRefused { writePassedChallenge() }
        let sent = makeRefusal(
            kind, form, snapshots[exchanges[id].snapshot], route, missing: missing, adding: added, by: &responses)
        exchanges[id].status = Int32(responses.status)
        exchanges[id].bodySent = UInt64(sent)
    }
    private mutating func writePassedChallenge() {
        let challenge = authenticator.passedChallenge
        added.append("WWW-Authenticate: ")
        added.append(challenge.span)
        added.append("\r\n")
    }
    /// What `return` says.
    mutating func answer(_ id: SlotID) {
        let route = route(of: id)
        let closes = answerEndsConnection(id)
        var form = form(id, route, closes: closes)
        form.isKeySet = route.isKeySet
        if route.status >= 400 { form.format = AnswerFormat(for: heads[exchanges[id].head]) }
        added.clear()
        write(route.answerText, of: id)
        copy(added, to: &text)
        added.clear()
        writeResponseFields(route, status: Int(route.status), of: id)
        if exchanges[id].places.isUnusual { restrictCaching(id) }
        guard let sent = makeAnswer(Int(route.status), text, form, adding: added, by: &responses) else {
            return refuse(id, .internalError)
        }
        exchanges[id].bodySent = UInt64(sent)
        exchanges[id].status = Int32(responses.status)
        sendLocal(id, closes: closes)
    }
    /// What the `cors` block says to a preflight that it allows.
    mutating func answerPreflight(_ id: SlotID) {
        let route = route(of: id)
        let closes = answerEndsConnection(id)
        let form = form(id, route, closes: closes)
        added.clear()
        writeResponseFields(route, status: 204, of: id)
        snapshots[exchanges[id].snapshot].crossOrigin.appendPreflight(
            heads[exchanges[id].head], block: Int(route.crossOrigin), to: &added)
        makeEmptyAnswer(204, form, adding: added, by: &responses)
        exchanges[id].status = 204
        sendLocal(id, closes: closes)
    }
    private mutating func form(_ id: SlotID, _ route: Route, closes: Bool) -> ResponseForm {
        var form = ResponseForm(wallSeconds: loop.wallSeconds)
        form.isHEAD = heads[exchanges[id].head].isHEAD
        form.minor = heads[exchanges[id].head].minor
        form.closes = closes
        form.detail = route.detail == 0 ? .none : route.detail == 1 ? .code : .full
        form.requestID = exchanges[id].requestID
        return form
    }
    private mutating func sendLocal(_ id: SlotID, closes: Bool) {
        let client = exchanges[id].client
        let keepalive = route(of: id).keepaliveNanoseconds
        if exchanges[id].stream != .none { return sendLocalToStream(id) }
        responses.write(to: &clients[client].output, &buffers)
        let goesOn = clients[client].answered(closing: closes)
        markDirty(client: client)
        log(id)
        if goesOn {
            if clients[client].discards { armClient(client, Self.lingerNanoseconds) }
            awaitRequest(client, clients[client].discards ? Self.lingerNanoseconds : keepalive)
        }
    }

    /// Bytes that are no request, or a body that is none: refused with what is known, which may be nothing but the listener.
    mutating func malformed(_ client: SlotID, _ error: MessageError) {
        let kind = LocalResponse(error)
        let exchange = clients[client].exchange
        if exchanges.contains(exchange) { return refuse(exchange, kind) }
        if clients[client].discards { return clientGone(client) }
        heads[spare].clear()
        refuseWithoutRequest(client, kind)
    }
    /// Answers a client whose request never became an exchange; an exchange is made for the log's sake.
    mutating func refuseWithoutRequest(_ client: SlotID, _ kind: LocalResponse) {
        guard let id = makeExchange(client) else { return closeClient(client) }
        clients[client].exchange = id
        clients[client].forgetResponse()
        refuse(id, kind)
    }
}

/// What `return` says; nil when its text cannot be sent.
func makeAnswer(
    _ status: Int, _ text: borrowing ByteBuffer, _ form: ResponseForm, adding added: borrowing ByteBuffer,
    by responses: inout LocalResponseWriter
) -> Int? {
    responses.answer(status: status, text: text.bytes, form, added: added.bytes)
}
func makeEmptyAnswer(
    _ status: Int, _ form: ResponseForm, adding added: borrowing ByteBuffer, by responses: inout LocalResponseWriter
) {
    responses.answer(status: status, form, added: added.bytes)
}
func copy(_ source: borrowing ByteBuffer, to target: inout ByteBuffer) {
    target.clear()
    target.append(source.bytes)
}

/// Makes a refusal, with the challenges of the location and the permissions that were missing.
func makeRefusal(
    _ kind: LocalResponse, _ form: ResponseForm, _ snapshot: borrowing Snapshot, _ route: Route,
    missing: borrowing ByteBuffer, adding added: borrowing ByteBuffer, by responses: inout LocalResponseWriter
) -> Int {
    responses.refuse(
        kind, form, snapshot.challenges, location: Int(route.location), scope: missing.bytes, added: added.bytes)
}
