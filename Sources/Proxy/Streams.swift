// Connections that carry many requests at once. What a session says becomes exchanges, each of which goes the same way as one
// that has a connection to itself; what exchanges answer leaves in one write for all of them.
import Bytes
import Connections
import HTTP
import Policy
import Reactor
import Telemetry

extension Worker {
    // MARK: in

    /// The whole input belongs to the connection's session, which begins with the first of it.
    mutating func takeFrames(_ client: SlotID) {
        if clients[client].session == .none && !beginSession(client) { return clientGone(client) }
        let session = clients[client].session
        let isGood = receiveFrames(input, by: &sessions[session], now: loop.now)
        input.clear()
        markDirty(client: client)
        if isGood { takeStreamMessages(client) }
    }
    private mutating func beginSession(_ client: SlotID) -> Bool {
        let limits = snapshots[current].limits[Int(clients[client].listener)]
        guard let made = ServerSession(limits: limits.http, streams: max(limits.streams, 1), now: loop.now),
            let id = sessions.insert(made)
        else { return false }
        clients[client].session = id
        sessionCount += 1
        counters.tally.sessionsBegun &+= 1
        armClient(client, limits.headNanoseconds)
        return true
    }
    private mutating func takeStreamMessages(_ client: SlotID) {
        let session = clients[client].session
        while sessions.contains(session), let message = sessions[session].next(into: &heads[spare]) {
            switch message {
            case .head(let number, let isWhole): beginStream(client, number, isWhole: isWhole)
            case .malformed(let stream, let number, let error, let isReset):
                malformed(client, stream, number, error, isReset: isReset)
            case .body(let stream, let range): takeBody(stream, range)
            case .trailers(let stream, let range): takeTrailers(stream, range)
            case .end(let stream): endBody(stream)
            case .drained(let stream): resumeAnswer(stream)
            case .answered(let stream): answered(stream)
            case .closed(let stream): streamClosed(stream)
            }
        }
    }

    private mutating func beginStream(_ client: SlotID, _ number: Int32, isWhole: Bool) {
        guard let stream = makeStream(client, number, isWhole: isWhole), let id = makeExchange(client, stream) else {
            return
        }
        streams[stream].exchange = id
        route(id)
    }
    /// Nil: there is no room, and the client may send the same again (RFC 9113 section 8.7).
    private mutating func makeStream(_ client: SlotID, _ number: Int32, isWhole: Bool) -> SlotID? {
        let session = clients[client].session
        let stream = ServerStream(client: client, session: session, number: number, isWhole: isWhole)
        guard exchanges.hasRoom, let id = streams.insert(stream) else {
            counters.tally.streamsRefused &+= 1
            sessions[session].reset(number, .refused)
            return nil
        }
        if sessions[session].isIdle { armClient(client, Self.farNanoseconds) }
        sessions[session].attach(id, to: number)
        clients[client].countRequest()
        return id
    }
    /// A request that is none. An exchange is made for the log's sake where there was none yet.
    private mutating func malformed(
        _ client: SlotID, _ known: SlotID, _ number: Int32, _ error: MessageError?, isReset: Bool
    ) {
        let kind = error.map { LocalResponse($0) } ?? .messageInvalid
        var stream = known
        if stream == .none {
            heads[spare].clear()
            guard let made = makeStream(client, number, isWhole: false), let id = makeExchange(client, made) else {
                return
            }
            stream = made
            streams[stream].exchange = id
        }
        let id = streams[stream].exchange
        guard exchanges.contains(id) else { return }
        if !isReset { return refuse(id, kind) }
        exchanges[id].reason = kind
        counters.rejected(Int(kind.rawValue))
        dropExchange(id)
    }

    /// A tunnel that has ended on one side goes on in the other.
    private mutating func answered(_ stream: SlotID) {
        let id = streams[stream].exchange
        if exchanges.contains(id) && stage(of: id) == .tunnel { return }
        endStream(stream, .answered)
    }

    // MARK: bodies

    private mutating func takeBody(_ stream: SlotID, _ range: Range<Int>) {
        let id = streams[stream].exchange, session = streams[stream].session
        guard exchanges.contains(id) else { return sessions[session].consume(range.count, streams[stream].number) }
        if stage(of: id) != .request { return takeTunnelled(stream, range) }
        guard countBody(id, range.count) else {
            return sessions[session].consume(range.count, streams[stream].number)
        }
        let upstream = exchanges[id].upstream
        guard !streams[stream].keepsBytes && takesBody(id) else {
            return keepRequestBody(range, of: sessions[session], in: &streams[stream], &buffers)
        }
        exchanges[id].bodyWasForwarded = true
        relayRequestBody(
            range, of: &sessions[session], streams[stream].number, to: &upstreams[upstream], exchanges[id].call,
            &buffers)
        bodyWentOn(id, upstream)
    }
    private mutating func takeTunnelled(_ stream: SlotID, _ range: Range<Int>) {
        let id = streams[stream].exchange, session = streams[stream].session
        let isOpen = stage(of: id) == .tunnel && takesBody(id)
        if isOpen && !streams[stream].keepsBytes { return passUp(stream, range) }
        keepRequestBody(range, of: sessions[session], in: &streams[stream], &buffers)
    }
    private mutating func endBody(_ stream: SlotID) {
        streams[stream].end()
        if !streams[stream].keepsBytes { requestEnded(streams[stream].exchange) }
    }
    /// Sends on what was kept, if the upstream takes it now.
    mutating func resumeStreamBody(_ id: SlotID) {
        let stream = exchanges[id].stream, upstream = exchanges[id].upstream
        guard streams[stream].keepsBytes && takesBody(id) else { return }
        let stage = stage(of: id)
        if stage == .asked || stage == .tunnel && !followsKept(id) { return }
        exchanges[id].bodyWasForwarded = true
        relayKeptBody(
            of: &streams[stream], to: &upstreams[upstream], exchanges[id].call, &sessions[streams[stream].session],
            &buffers)
        // The client may send more.
        markDirty(client: streams[stream].client)
        bodyWentOn(id, upstream)
        if streams[stream].requestIsComplete { requestEnded(id) }
    }
    private mutating func bodyWentOn(_ id: SlotID, _ upstream: SlotID) {
        armAnswer(id, upstream, route(of: id).upstreamSendNanoseconds)
        markDirty(upstream: upstream)
        if !streams[exchanges[id].stream].requestIsComplete { startBodyClock(id) }
    }

    // MARK: out

    mutating func streamIsBackedUp(_ id: SlotID) -> Bool {
        let stream = exchanges[id].stream
        return sessions[streams[stream].session].isBackedUp(streams[stream].number)
    }
    private mutating func resumeAnswer(_ stream: SlotID) {
        let id = streams[stream].exchange
        guard exchanges.contains(id) else { return }
        resumeUpstream(of: id)
    }
    /// Writes what all streams have to send, as much as the socket takes.
    mutating func flushSession(_ client: SlotID) {
        let session = clients[client].session
        var result = FlushResult.emptied
        var isLast = false
        repeat {
            isLast = !writeFrames(of: &sessions[session], to: &clients[client], now: loop.now, &buffers)
            if clients[client].outputCount == 0 { break }
            result = clients[client].flush(&buffers)
            counters.tally.clientBytesSent &+= clients[client].takeSent()
        } while result == .emptied && !isLast
        if result == .broken { return clientGone(client) }
        if result == .blocked { armClient(client, sendNanoseconds(client)) }
        if isLast { counters.tally.sessionsFailed &+= 1 } else { takeStreamMessages(client) }
        guard clients.contains(client) else { return }
        if isLast || !sessions[session].isOpen { return endSession(client) }
        if sessions[session].takeRelief() { resumeAnswers(session) }
        if result == .emptied { resumeClient(client) }
    }
    private mutating func resumeAnswers(_ session: SlotID) {
        for i in 0..<sessions[session].streamCount { resumeAnswer(sessions[session].stream(at: i)) }
    }

    // MARK: deadlines

    mutating func armStream(_ stream: SlotID, _ nanoseconds: UInt64) {
        let at = after(nanoseconds)
        if streams[stream].deadline != nil {
            loop.timers.set(&streams[stream].deadline!, at)
        } else if nanoseconds < Self.farNanoseconds {
            // Most streams wait for nothing.
            streams[stream].deadline = loop.timers.add(Token(.stream, stream), at)
        }
    }
    mutating func streamDeadline(_ stream: SlotID) {
        guard var deadline = streams[stream].deadline else { return }
        if deadline.at <= loop.now {
            streamLate(stream)
            guard streams.contains(stream), let next = streams[stream].deadline else { return }
            deadline = next
            if deadline.at <= loop.now { loop.timers.set(&deadline, after(Self.farNanoseconds)) }
        }
        loop.timers.schedule(&deadline)
        streams[stream].deadline = deadline
    }
    private mutating func streamLate(_ stream: SlotID) {
        let id = streams[stream].exchange
        guard exchanges.contains(id), !keysAreLate(id), stage(of: id) == .request else { return }
        // What is kept here waits for the upstream.
        guard !streams[stream].requestIsComplete, !streams[stream].keepsBytes, takesBody(id) else {
            return
        }
        if streams[stream].responseBegun { abandon(id) } else { refuse(id, .requestTimeout) }
    }
    /// A connection with nothing to do, or one that takes nothing.
    mutating func sessionLate(_ client: SlotID) {
        if clients[client].outputCount > 0 { return clientGone(client) }
        if sessions[clients[client].session].isIdle { drainSession(of: client) }
    }
    /// Once a second.
    mutating func lookAfterSessions() {
        if sessionCount == 0 { return }
        for i in 0..<clients.capacity {
            guard let client = clients.occupant(i), clients[client].session != .none else { continue }
            let session = clients[client].session
            if sessions[session].resetStalled(after: sendNanoseconds(client), now: loop.now) {
                markDirty(client: client)
            }
            if isDraining { drainSession(of: client) }
        }
    }

    // MARK: ends

    mutating func endStream(_ stream: SlotID, _ end: StreamEnd) {
        sessions[streams[stream].session].reset(streams[stream].number, end)
        markDirty(client: streams[stream].client)
    }
    private mutating func streamClosed(_ stream: SlotID) {
        let id = streams[stream].exchange, client = streams[stream].client
        if exchanges.contains(id) { dropExchange(id) }
        releaseStream(stream)
        let session = clients[client].session
        if sessions[session].isIdle && !sessions[session].isEnding {
            armClient(client, snapshots[current].limits[Int(clients[client].listener)].keepaliveNanoseconds)
        }
    }
    private mutating func releaseStream(_ stream: SlotID) {
        // Nobody takes what is kept: the other streams may have its part of the connection's window.
        sessions[streams[stream].session].consume(streams[stream].keptCount, streams[stream].number)
        if let deadline = streams[stream].deadline { loop.timers.remove(deadline) }
        streams[stream].release(&buffers)
        streams.destroy(stream)
    }
    mutating func isIdle(_ client: SlotID) -> Bool {
        let session = clients[client].session
        if session == .none { return clients[client].isIdle }
        return sessions[session].isIdle && clients[client].outputCount == 0
    }
    mutating func announceEnd(_ client: SlotID) {
        sessions[clients[client].session].announceEnd()
        markDirty(client: client)
    }
    /// No more streams are taken; the connection ends with the last that is there.
    mutating func drainSession(of client: SlotID) {
        let session = clients[client].session
        if sessions[session].isEnding { return }
        sessions[session].drain()
        markDirty(client: client)
    }
    /// The session is over; what it had to say is in the output.
    private mutating func endSession(_ client: SlotID) {
        closeSession(of: client)
        clients[client].close()
        if clients[client].outputCount == 0 { endClient(client) }
    }
    /// Requests that still run have nobody to be answered to.
    mutating func closeSession(of client: SlotID) {
        let session = clients[client].session
        clients[client].session = .none
        for i in 0..<sessions[session].streamCount {
            let stream = sessions[session].stream(at: i)
            let id = streams[stream].exchange
            if exchanges.contains(id) { dropExchange(id) }
            releaseStream(stream)
        }
        sessions.destroy(session)
        sessionCount -= 1
    }
}

private func receiveFrames(_ input: borrowing ByteBuffer, by session: inout ServerSession, now: Instant) -> Bool {
    session.receive(input, now: now)
}
private func writeFrames(
    of session: inout ServerSession, to client: inout ServerConnection, now: Instant, _ buffers: inout BufferPool
) -> Bool {
    session.write(to: &client.output, upTo: ConnectionLimits.frames, now: now, &buffers)
}
