// Upstream connections that many exchanges share, each on a stream of its own. What their requests and bodies make in one turn
// of the loop leaves in one write; the end of one stream does nothing to the others.
import Bytes
import Connections
import HTTP
import Policy
import Reactor
import Telemetry

extension Worker {
    // MARK: requests

    /// False: there is no room for it.
    mutating func submitRequest(_ id: SlotID, to upstream: SlotID, _ route: Route, _ filter: SlotID) -> Bool {
        let head = exchanges[id].head
        sendRequestHead(
            heads[head], snapshots[exchanges[id].snapshot], route, filter,
            matchedPrefix: Int(exchanges[id].matchedPrefix), adding: added, to: &requestText, &buffers)
        streamFields.take(request: requestText, isTLS: upstreams[upstream].isSecured)
        requestText.release(to: &buffers)
        let call = upstreams[upstream].begin(
            streamFields, of: id, hasBody: heads[head].framing != .none, isHEAD: heads[head].isHEAD)
        exchanges[id].call = call ?? .none
        return call != nil
    }
    /// How long an upstream may take for what comes next.
    @inline(__always) mutating func armAnswer(_ id: SlotID, _ upstream: SlotID, _ nanoseconds: UInt64) {
        if exchanges[id].call == .none { return armUpstream(upstream, nanoseconds) }
        let at = after(nanoseconds)
        exchanges[id].callDue = at
        if let deadline = upstreams[upstream].deadline, at < deadline.at { armUpstream(upstream, nanoseconds) }
    }
    /// What was to be sent is out, or as much of it as the socket takes: streams that ended with it are looked after, and more
    /// of the bodies can be taken.
    mutating func sharedFlushed(_ id: SlotID) {
        takeAnswers(id)
        guard upstreams.contains(id), upstreams[id].uploadCount > 0 else { return }
        var place = 0
        while upstreams.contains(id) && place < upstreams[id].places {
            if let call = upstreams[id].call(at: place) { resumeBody(upstreams[id].owner(of: call)) }
            place += 1
        }
    }

    // MARK: readiness

    mutating func sharedReady(_ id: SlotID, _ readiness: Readiness) {
        let wasConnecting = upstreams[id].isConnecting
        if !upstreams[id].note(readiness) { return connectFailed(id) }
        if upstreams[id].isConnecting { return }
        if wasConnecting { sharedConnected(id) }
        if readiness.isWritable { markDirty(upstream: id) }
        readShared(id)
    }
    private mutating func sharedConnected(_ id: SlotID) {
        if upstreams[id].isSecured { noteHandshake(id) }
        markDirty(upstream: id)
        for place in 0..<upstreams[id].places {
            guard let call = upstreams[id].call(at: place) else { continue }
            let exchange = upstreams[id].owner(of: call)
            exchanges[exchange].upstreamConnected = loop.now
            armAnswer(exchange, id, route(of: exchange).readNanoseconds)
            resumeBody(exchange)
        }
    }
    mutating func readShared(_ id: SlotID) {
        while upstreams.contains(id), upstreams[id].canProceed {
            switch upstreams[id].receive(into: &input, &buffers) {
            case .nothing: return
            case .closed, .failed: return upstreamGone(id, .upstreamClosed)
            case .bytes:
                counters.tally.upstreamBytesReceived &+= upstreams[id].takeReceived()
                let goesOn = upstreams[id].takeFrames(input)
                markDirty(upstream: id)
                takeAnswers(id)
                if !goesOn && upstreams.contains(id) { return upstreamGone(id, .upstreamInvalid) }
            }
        }
    }

    // MARK: answers

    private mutating func takeAnswers(_ id: SlotID) {
        while upstreams.contains(id), let message = upstreams[id].nextAnswer(into: &response) {
            switch message {
            case .head(let call): takeHead(upstreams[id].owner(of: call))
            case .body(let call, let range): takeBody(upstreams[id].owner(of: call), range)
            case .end(let call): if !upstreams[id].keepsBytes(call) { finish(upstreams[id].owner(of: call)) }
            case .malformed(let call): callFailed(upstreams[id].owner(of: call), .upstreamInvalid)
            case .failed(let call, let isSafe):
                callFailed(
                    upstreams[id].owner(of: call), isSafe ? .upstreamClosed : .upstreamInvalid, isSafe: isSafe)
            }
        }
    }
    private mutating func takeHead(_ id: SlotID) {
        let route = route(of: id)
        armAnswer(id, exchanges[id].upstream, route.readNanoseconds)
        responseBegan(id, route)
        markDirty(client: exchanges[id].client)
    }
    private mutating func takeBody(_ id: SlotID, _ range: Range<Int>) {
        let upstream = exchanges[id].upstream, call = exchanges[id].call
        armAnswer(id, upstream, route(of: id).readNanoseconds)
        if upstreams[upstream].keepsBytes(call) || isBackedUp(id) {
            return upstreams[upstream].keep(range, of: call, &buffers)
        }
        input.clear()
        upstreams[upstream].append(range, to: &input)
        passOn(id)
    }
    /// The input is a part of the body.
    private mutating func passOn(_ id: SlotID) {
        let upstream = exchanges[id].upstream
        let count = input.count
        sendBody(count, of: id)
        upstreams[upstream].consume(count, of: exchanges[id].call)
        markDirty(client: exchanges[id].client)
        markDirty(upstream: upstream)
    }
    /// The client took something: what was kept for it goes on, or its upstream is read again.
    mutating func resumeUpstream(of id: SlotID) {
        guard exchanges.contains(id) else { return }
        let upstream = exchanges[id].upstream, call = exchanges[id].call
        guard upstreams.contains(upstream) else { return }
        if call == .none { return resumeUpstream(upstream) }
        guard upstreams[upstream].keepsBytes(call), !isBackedUp(id) else { return }
        input.clear()
        upstreams[upstream].takeKept(call, to: &input, &buffers)
        passOn(id)
        if upstreams[upstream].hasEnded(call) { finish(id) }
    }

    // MARK: deadlines

    mutating func sharedDeadline(_ id: SlotID) {
        guard let deadline = upstreams[id].deadline else { return }
        if deadline.at <= loop.now {
            if upstreams[id].isConnecting { return upstreamGone(id, .upstreamTimeout) }
            if upstreams[id].streamCount == 0 { return closeUpstream(id) }
            endLate(id)
        }
        guard upstreams.contains(id), var next = upstreams[id].deadline else { return }
        if next.at <= loop.now { loop.timers.set(&next, nextDue(over: id)) }
        loop.timers.schedule(&next)
        upstreams[id].deadline = next
    }
    private mutating func endLate(_ id: SlotID) {
        var place = 0
        while upstreams.contains(id) && place < upstreams[id].places {
            if let call = upstreams[id].call(at: place) { endIfLate(upstreams[id].owner(of: call), call) }
            place += 1
        }
    }
    private mutating func endIfLate(_ id: SlotID, _ call: SlotID) {
        guard exchanges[id].callDue <= loop.now else { return }
        // Whom we do not read cannot be late; and while the client still sends, the upstream waits as we do.
        let hasAll = upstreams[exchanges[id].upstream].waiting(call) == 0
        if isSending(id) || hasAll && isReadingBody(id) {
            exchanges[id].callDue = after(1_000_000_000)
        } else {
            callFailed(id, .upstreamTimeout)
        }
    }
    private mutating func nextDue(over id: SlotID) -> Instant {
        var due = after(Self.farNanoseconds)
        for place in 0..<upstreams[id].places {
            guard let call = upstreams[id].call(at: place) else { continue }
            due = min(due, exchanges[upstreams[id].owner(of: call)].callDue)
        }
        return due
    }

    // MARK: ends

    /// Nobody waits for an upstream any more.
    mutating func leaveUpstream(_ id: SlotID) {
        let upstream = exchanges[id].upstream
        if exchanges[id].call != .none { return releaseCall(id) }
        exchanges[id].upstream = .none
        if upstreams.contains(upstream) { closeUpstream(upstream) }
    }
    /// The exchange is done with its upstream, whose connection serves others or rests.
    mutating func releaseCall(_ id: SlotID) {
        let upstream = exchanges[id].upstream, call = exchanges[id].call
        exchanges[id].upstream = .none
        exchanges[id].call = .none
        guard upstreams.contains(upstream) else { return }
        upstreams[upstream].release(call, &buffers)
        markDirty(upstream: upstream)
        guard upstreams[upstream].streamCount == 0 else { return }
        if upstreams[upstream].isSecured, let session = upstreams[upstream].resumable() {
            pool.keep(session, of: upstreams[upstream].endpoint)
        }
        guard !isDraining, !upstreams[upstream].isConnecting, pool.keepsShared(upstream, in: &upstreams) else {
            return closeUpstream(upstream)
        }
        armUpstream(upstream, pool.keepaliveNanoseconds(upstreams[upstream].endpoint))
    }
    /// One request came to nothing.
    private mutating func callFailed(_ id: SlotID, _ kind: LocalResponse, isSafe: Bool = false) {
        releaseCall(id)
        // Once, and nobody is to blame for it.
        let mayAskAgain = isSafe && !exchanges[id].wantsFreshConnection
        if mayAskAgain { exchanges[id].wantsFreshConnection = true }
        failed(id, ExchangeFailure(kind, .upstream, mayAskAgain ? .always : .never))
    }
    /// The connection is gone, and all requests with it: each is tried again where that is safe for it.
    mutating func sharedGone(_ id: SlotID, _ kind: LocalResponse) {
        let isUnreachable = upstreams[id].isConnecting
        let shown: LocalResponse = isUnreachable && kind == .upstreamClosed ? .upstreamUnavailable : kind
        var left: [(exchange: SlotID, retry: ExchangeFailure.Retry)] = []
        for place in 0..<upstreams[id].places {
            guard let call = upstreams[id].call(at: place) else { continue }
            let isStale = kind == .upstreamClosed && upstreams[id].isStale(call)
            let retry: ExchangeFailure.Retry =
                upstreams[id].isUnsent(call) ? .always : isStale ? .ifConnectionWasReused : .never
            left.append((upstreams[id].owner(of: call), retry))
        }
        closeUpstream(id)
        for (exchange, retry) in left where exchanges.contains(exchange) && exchanges[exchange].upstream == id {
            exchanges[exchange].upstream = .none
            exchanges[exchange].call = .none
            if retry == .ifConnectionWasReused { exchanges[exchange].wantsFreshConnection = true }
            failed(exchange, ExchangeFailure(shown, .upstream, retry))
        }
    }
}
