// WebSockets: from the answer that agrees on, bytes go through in both directions as they come. Each direction ends by itself.
// Frames are followed by their headers, so that the gateway can say goodbye between two of them.
import Bytes
import Connections
import HTTP
import Policy
import Reactor
import Telemetry

extension Worker {
    /// How long the frame that is passing may take to its end when nothing shall follow it.
    private static let lastFrameNanoseconds: UInt64 = 5_000_000_000

    // MARK: the beginning

    /// The upstream agrees to change the protocol, and the client's bytes are its own from here on.
    mutating func switchProtocols(_ id: SlotID, _ upstream: SlotID, _ route: Route) {
        let long = exchanges[id].long
        guard long != .none, longExchanges[long].stage == .asked,
            WebSocketHandshake.isAgreed(response, longExchanges[long].acceptance)
        else { return upstreamGone(upstream, .upstreamInvalid) }
        let client = exchanges[id].client, stream = exchanges[id].stream, snapshot = exchanges[id].snapshot
        exchanges[id].upstreamAnswered = loop.now
        exchanges[id].reason = nil
        exchanges[id].status = stream == .none ? 101 : 200
        exchanges[id].upstreamStatus = 101
        snapshots[snapshot].balancers[Int(route.upstream)].succeeded(Int(exchanges[id].peer))
        longExchanges[long].stage = .tunnel
        counters.tally.upgrades &+= 1
        counters.tally.upgradesActive &+= 1
        added.clear()
        writeResponseFields(route, status: 101, of: id)
        upstreams[upstream].openTunnel()
        if stream == .none {
            clients[client].openTunnel(
                response, dropping: snapshots[snapshot].filters[route.responseFilter], adding: added, &buffers)
            armClient(client, Self.farNanoseconds)
        } else {
            let filter = snapshots[snapshot].streamUpgradeFilter
            streamFields.take(
                response, as: 200, dropping: snapshots[snapshot].filters[filter], adding: added, &buffers)
            streams[stream].beginResponse()
            sessions[streams[stream].session].respond(streamFields, streams[stream].number, isWhole: false)
        }
        relayTunnel(id, upstream)
        // The client may have spoken already, or ended.
        guard exchanges.contains(id) else { return }
        resumeBody(id)
        if stream != .none && streams[stream].requestIsComplete { tunnelInputEnded(id) }
    }
    /// What an upstream that did not agree must not say to a client that takes every 2xx for yes (RFC 8441 section 5).
    mutating func looksAgreed(_ id: SlotID) -> Bool {
        stage(of: id) == .asked && heads[exchanges[id].head].isFramed && 200...299 ~= response.status
    }

    // MARK: towards the client

    mutating func relayTunnel(_ id: SlotID, _ upstream: SlotID) {
        let client = exchanges[id].client
        armUpstream(upstream, route(of: id).readNanoseconds)
        markDirty(client: client)
        while case .body(let n) = upstreams[upstream].next(in: &input, head: &response) {
            guard passDown(id, n) else { return }
        }
        upstreams[upstream].keep(&input, &buffers)
    }
    /// False: the tunnel is over.
    private mutating func passDown(_ id: SlotID, _ n: Int) -> Bool {
        let long = exchanges[id].long
        let isLast = longExchanges[long].ending != nil
        sendBody(follow(n, of: input, &longExchanges[long].down, toEnd: isLast), of: id)
        guard isLast, longExchanges[long].down.isBetweenFrames else { return true }
        input.clear()
        sayGoodbye(id)
        return false
    }
    /// The upstream has sent all; the client may still talk.
    mutating func tunnelOutputEnded(_ id: SlotID) {
        let long = exchanges[id].long, upstream = exchanges[id].upstream
        if upstreams.contains(upstream) { upstreams[upstream].endTunnelInput() }
        guard !longExchanges[long].downHasEnded else { return }
        longExchanges[long].downHasEnded = true
        if longExchanges[long].ending != nil { return closeTunnel(id) }
        let client = exchanges[id].client, stream = exchanges[id].stream
        if stream == .none {
            clients[client].endTunnelOutput()
        } else {
            sessions[streams[stream].session].finish(streams[stream].number)
        }
        markDirty(client: client)
        closeIfEnded(id)
    }

    // MARK: towards the upstream

    /// Bytes of a client with a connection to itself.
    mutating func passUp(_ client: SlotID, _ n: Int) {
        let id = clients[client].exchange
        let upstream = exchanges[id].upstream
        guard tunnelTakes(id, n) else { return input.consume(n) }
        _ = follow(n, of: input, &longExchanges[exchanges[id].long].up, toEnd: false)
        relayRequestBody(n, of: &input, to: &upstreams[upstream], .none, &buffers)
        markDirty(upstream: upstream)
    }
    /// The same of a stream.
    mutating func passUp(_ stream: SlotID, _ range: Range<Int>) {
        let id = streams[stream].exchange
        let upstream = exchanges[id].upstream, session = streams[stream].session
        guard tunnelTakes(id, range.count) else {
            return sessions[session].consume(range.count, streams[stream].number)
        }
        follow(range, of: sessions[session], &longExchanges[exchanges[id].long].up)
        relayRequestBody(
            range, of: &sessions[session], streams[stream].number, to: &upstreams[upstream], .none, &buffers)
        markDirty(upstream: upstream)
    }
    /// What a stream sent while the upstream took nothing is about to go on. False: it is not.
    mutating func followsKept(_ id: SlotID) -> Bool {
        guard tunnelTakes(id, streams[exchanges[id].stream].keptCount) else { return false }
        followKeptBody(streams[exchanges[id].stream], &longExchanges[exchanges[id].long].up)
        return true
    }
    /// What comes after the end is thrown away.
    private mutating func tunnelTakes(_ id: SlotID, _ count: Int) -> Bool {
        exchanges[id].bodyReceived &+= UInt64(count)
        let upstream = exchanges[id].upstream
        guard upstreams.contains(upstream), !longExchanges[exchanges[id].long].upHasEnded else { return false }
        armUpstream(upstream, route(of: id).readNanoseconds)
        return true
    }
    /// The client has sent all; the upstream may still talk.
    mutating func tunnelInputEnded(_ id: SlotID) {
        let long = exchanges[id].long, upstream = exchanges[id].upstream
        guard !longExchanges[long].upHasEnded else { return }
        longExchanges[long].upHasEnded = true
        if upstreams.contains(upstream) {
            upstreams[upstream].endRequest(&buffers)
            markDirty(upstream: upstream)
        }
        closeIfEnded(id)
    }

    // MARK: the end

    /// What was waiting for the upstream has left.
    mutating func tunnelDrained(_ upstream: SlotID) {
        let id = upstreams[upstream].exchange
        guard exchanges.contains(id), exchanges[id].long != .none else { return }
        resumeBody(id)
        closeIfEnded(id)
    }
    private mutating func closeIfEnded(_ id: SlotID) {
        let long = exchanges[id].long, upstream = exchanges[id].upstream
        guard longExchanges[long].downHasEnded && longExchanges[long].upHasEnded else { return }
        if upstreams.contains(upstream), upstreams[upstream].outputCount > 0 { return }
        closeTunnel(id)
    }
    /// The upstream's connection broke, or nothing went through for too long.
    mutating func tunnelBroken(_ id: SlotID, _ kind: LocalResponse) {
        exchanges[id].reason = exchanges[id].reason ?? kind
        if kind == .upstreamTimeout { return endTunnel(id, .goingAway("idle")) }
        closeTunnel(id)
    }
    /// Ends both sides: at once where no frame is halfway through to the client, else behind that frame.
    mutating func endTunnel(_ id: SlotID, _ frame: CloseFrame) {
        let long = exchanges[id].long, upstream = exchanges[id].upstream
        guard longExchanges[long].ending == nil else { return }
        longExchanges[long].ending = frame
        if upstreams.contains(upstream), longExchanges[long].up.isBetweenFrames,
            !longExchanges[long].up.hasClosed, !longExchanges[long].upHasEnded
        {
            text.clear()
            frame.append(maskedBy: .random(in: .min ... .max), to: &text)
            relayRequestBody(text.count, of: &text, to: &upstreams[upstream], .none, &buffers)
            markDirty(upstream: upstream)
        }
        longExchanges[long].upHasEnded = true
        if longExchanges[long].down.isBetweenFrames || longExchanges[long].downHasEnded {
            sayGoodbye(id)
        } else {
            armLong(long, Self.lastFrameNanoseconds)
        }
    }
    private mutating func sayGoodbye(_ id: SlotID) {
        let long = exchanges[id].long, client = exchanges[id].client, stream = exchanges[id].stream
        if let frame = longExchanges[long].ending, !longExchanges[long].down.hasClosed,
            !longExchanges[long].downHasEnded
        {
            text.clear()
            frame.append(to: &text)
            let count = text.count
            exchanges[id].bodySent &+= UInt64(count)
            if stream == .none {
                relayBody(count, of: &text, to: &clients[client], &buffers)
            } else {
                relayBody(count, of: &text, to: &sessions[streams[stream].session], streams[stream].number, &buffers)
            }
        }
        closeTunnel(id)
    }
    /// The last frame takes too long.
    mutating func cutTunnel(_ id: SlotID) {
        let upstream = exchanges[id].upstream
        if upstreams.contains(upstream) { closeUpstream(upstream) }
        cutOff(id)
    }
    private mutating func closeTunnel(_ id: SlotID) {
        let downHasEnded = longExchanges[exchanges[id].long].downHasEnded
        let client = exchanges[id].client, stream = exchanges[id].stream, upstream = exchanges[id].upstream
        if upstreams.contains(upstream) {
            _ = upstreams[upstream].flush(&buffers)
            counters.tally.upstreamBytesSent &+= upstreams[upstream].takeSent()
            closeUpstream(upstream)
        }
        if stream == .none {
            clients[client].closeTunnel()
        } else {
            sessions[streams[stream].session].finish(streams[stream].number)
        }
        markDirty(client: client)
        log(id)
        // It was told of the end before, and has not answered.
        if downHasEnded && stream != .none && !streams[stream].hasEnded { endStream(stream, .answered) }
    }
    /// Of a client that is to leave. False: there was nothing to say goodbye to.
    mutating func endTunnels(of client: SlotID, _ frame: CloseFrame) -> Bool {
        let session = clients[client].session
        if session == .none { return endTunnelOnce(clients[client].exchange, frame) }
        var isAny = false
        for i in 0..<sessions[session].streamCount {
            if endTunnelOnce(streams[sessions[session].stream(at: i)].exchange, frame) { isAny = true }
        }
        return isAny
    }
    private mutating func endTunnelOnce(_ id: SlotID, _ frame: CloseFrame) -> Bool {
        guard exchanges.contains(id), stage(of: id) == .tunnel, longExchanges[exchanges[id].long].ending == nil else {
            return false
        }
        endTunnel(id, frame)
        return true
    }
}

/// How many of the bytes pass.
private func follow(
    _ n: Int, of input: borrowing ByteBuffer, _ frames: inout FrameFollower, toEnd: Bool
) -> Int {
    if toEnd { return frames.followToEnd(input.prefix(n)) }
    frames.follow(input.prefix(n))
    return n
}
private func follow(_ range: Range<Int>, of session: borrowing ServerSession, _ frames: inout FrameFollower) {
    frames.follow(session.part(range))
}
private func followKeptBody(_ stream: borrowing ServerStream, _ frames: inout FrameFollower) {
    frames.follow(stream.keptBytes)
}
