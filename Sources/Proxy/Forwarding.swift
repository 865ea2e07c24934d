// The upstream's part of an exchange, in order: choose and connect, send, relay the answer, finish; then the connection rests.
import Bytes
import Configuration
import Connections
import HTTP
import Policy
import Reactor
import Telemetry

extension Worker {
    /// Chooses an endpoint and a connection to it, and sends the head.
    mutating func forward(_ id: SlotID, _ route: Route) {
        let group = Int(route.upstream)
        let snapshot = exchanges[id].snapshot
        guard let peer = snapshots[snapshot].balancers[group].next(now: loop.now, tried: exchanges[id].tried) else {
            return refuse(id, exchanges[id].reason ?? .noLiveUpstream)
        }
        let endpoint = snapshots[snapshot].endpoints[group][peer]
        exchanges[id].peer = Int32(truncatingIfNeeded: peer)
        exchanges[id].tries &+= 1
        exchanges[id].upstreamStarted = loop.now
        exchanges[id].upstreamConnected = nil
        var taken: SlotID?
        if route.isPooled && (!exchanges[id].wantsFreshConnection || pool.isShared(endpoint)) {
            taken = pool.take(endpoint, from: &upstreams)
        }
        if let taken {
            counters.upstream(group, .reuse)
            if !upstreams[taken].isConnecting { exchanges[id].upstreamConnected = loop.now }
            return send(id, to: taken, route)
        }
        switch connect(endpoint, for: id, route) {
        case .made(let upstream):
            counters.upstream(group, .connect)
            if upstreams[upstream].isFramed && route.isPooled { pool.share(upstream, of: endpoint) }
            send(id, to: upstream, route)
        case .refused: failed(id, ExchangeFailure(.upstreamUnavailable, .upstream, .always))
        case .exhausted: failed(id, ExchangeFailure(.overloaded, .gateway, .never))
        }
    }
    private mutating func send(_ id: SlotID, to upstream: SlotID, _ route: Route) {
        let head = exchanges[id].head, snapshot = exchanges[id].snapshot
        let isAuthenticated = exchanges[id].principal.isKnown
        exchanges[id].upstream = upstream
        let asksUpgrade = stage(of: id) == .asked
        if !upstreams[upstream].isFramed {
            upstreams[upstream].exchange = id
            upstreams[upstream].beginRequest(
                heads[head].framing, isHEAD: heads[head].isHEAD, asksUpgrade: asksUpgrade)
        }
        let filter =
            isAuthenticated
            ? route.authenticatedFilter : exchanges[id].isPreflight ? route.preflightFilter : route.requestFilter
        added.clear()
        write(route.requestFields, of: id)
        if isAuthenticated {
            writeIdentity(of: id, route)
            if route.identityToken >= 0 { writeIdentityToken(id, route) }
        }
        if asksUpgrade { writeUpgrade(id) } else if heads[head].takesTrailers() { askForTrailers() }
        if upstreams[upstream].isFramed {
            guard submitRequest(id, to: upstream, route, filter) else {
                exchanges[id].upstream = .none
                return failed(id, ExchangeFailure(.overloaded, .gateway, .never))
            }
        } else {
            sendRequestHead(
                heads[head], snapshots[snapshot], route, filter, matchedPrefix: Int(exchanges[id].matchedPrefix),
                adding: added, to: &upstreams[upstream].output, &buffers)
        }
        if !upstreams[upstream].isConnecting { armAnswer(id, upstream, route.readNanoseconds) }
        markDirty(upstream: upstream)
        if requestIsComplete(id) || asksUpgrade { requestEnded(id) } else { awaitBody(id) }
    }

    /// The fields that say who is asking are the same for all requests of a credential: its first one makes and keeps them,
    /// so that one whose credential is cached allocates nothing.
    private mutating func writeIdentity(of id: SlotID, _ route: Route) {
        let principals = exchanges[id].principals
        guard principals.count == 1, route.identityStamp != 0 else { return write(route.identityFields, of: id) }
        if authenticator.writeFields(principals.first, stamp: route.identityStamp, to: &added) { return }
        let start = added.count
        write(route.identityFields, of: id)
        keepFields(added, from: start, of: principals.first, route.identityStamp, in: &authenticator)
    }

    mutating func readUpstream(_ id: SlotID) {
        while upstreams.contains(id) {
            let exchange = upstreams[id].exchange
            guard exchanges.contains(exchange) else { return closeUpstream(id) }
            let client = exchanges[exchange].client
            if isBackedUp(exchange) { return }
            switch upstreams[id].receive(into: &input, &buffers) {
            case .nothing: return
            case .closed: return streamEnded(id, exchange)
            case .failed: return upstreamGone(id, .upstreamClosed)
            case .bytes:
                counters.tally.upstreamBytesReceived &+= upstreams[id].takeReceived()
                relay(exchange, id, client)
            }
            guard upstreams.contains(id), upstreams[id].canProceed else { return }
        }
    }
    private mutating func relay(_ id: SlotID, _ upstream: SlotID, _ client: SlotID) {
        if upstreams[upstream].isTunnel { return relayTunnel(id, upstream) }
        let route = route(of: id)
        armUpstream(upstream, route.readNanoseconds)
        while true {
            let event = relayResponse(id, from: upstream)
            markDirty(client: client)
            switch event {
            case .head:
                if response.status == 101 { return switchProtocols(id, upstream, route) }
                if exchanges[id].long != .none, looksAgreed(id) { return upstreamGone(upstream, .upstreamInvalid) }
                responseBegan(id, route)
            case .end: return finish(id)
            case .malformed: return upstreamGone(upstream, .upstreamInvalid)
            case .body, .starved, .paused, .overrun, .streams: return
            }
        }
    }
    mutating func responseBegan(_ id: SlotID, _ route: Route) {
        let snapshot = exchanges[id].snapshot
        let filter = exchanges[id].isPreflight ? snapshots[snapshot].responseFilter : route.responseFilter
        if response.isInterim {
            return sendInterim(id, filter)
        }
        exchanges[id].upstreamAnswered = loop.now
        // An attempt that failed before this one is mended.
        exchanges[id].reason = nil
        exchanges[id].status = Int32(response.status)
        exchanges[id].upstreamStatus = Int32(response.status)
        snapshots[snapshot].balancers[Int(route.upstream)].succeeded(Int(exchanges[id].peer))
        added.clear()
        if exchanges[id].places.isUnusual && response.value(of: .cacheControl) == nil { restrictCaching(id) }
        writeResponseFields(route, status: response.status, of: id)
        sendHead(id, filter)
    }
    /// Shared caches know what Authorization means (RFC 9111 section 3.5); other credentials they do not see, and one in a
    /// query is part of the address (RFC 6750 section 2.3).
    mutating func restrictCaching(_ id: SlotID) {
        added.append(
            exchanges[id].places.contains(.query) ? "Cache-Control: no-store\r\n" : "Cache-Control: private\r\n")
    }
    private mutating func streamEnded(_ upstream: SlotID, _ id: SlotID) {
        if upstreams[upstream].isTunnel { return tunnelOutputEnded(id) }
        guard upstreams[upstream].endOfStream() else { return upstreamGone(upstream, .upstreamClosed) }
        finish(id)
    }

    mutating func finish(_ id: SlotID) {
        let client = exchanges[id].client, upstream = exchanges[id].upstream
        let route = route(of: id)
        let goesOn = endResponse(id)
        markDirty(client: client)
        if exchanges[id].call == .none { release(upstream) } else { releaseCall(id) }
        log(id)
        if goesOn { awaitRequest(client, route.keepaliveNanoseconds) }
    }
    /// The upstream's part is done: its connection rests or closes.
    private mutating func release(_ upstream: SlotID) {
        upstreams[upstream].exchange = .none
        if upstreams[upstream].isSecured { settle(upstream) }
        guard upstreams[upstream].isReusable, !isDraining, pool.put(upstream, in: &upstreams) else {
            return closeUpstream(upstream)
        }
        upstreams[upstream].rest()
        armUpstream(upstream, pool.keepaliveNanoseconds(upstreams[upstream].endpoint))
    }
    /// The connection waits for its next request, which may be here already.
    mutating func awaitRequest(_ client: SlotID, _ nanoseconds: UInt64) {
        if isDraining {
            clients[client].close()
            return markDirty(client: client)
        }
        armClient(client, nanoseconds)
        resumeClient(client)
    }
}

private func keepFields(
    _ fields: borrowing ByteBuffer, from start: Int, of principal: Principal, _ stamp: UInt32,
    in authenticator: inout Authenticator
) {
    authenticator.keepFields(principal, fields.bytes.extracting(start...), stamp: stamp)
}
