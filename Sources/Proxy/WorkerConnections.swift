// Beginnings, deadlines and ends of a worker's connections.
import Bytes
import Configuration
import Connections
import HTTP
import Policy
import Reactor
import Telemetry
import Transport

extension Worker {
    // MARK: beginnings

    mutating func accept(_ listener: SlotID) {
        guard let number = listenerSlots.firstIndex(of: listener) else { return }
        for _ in 0..<Self.acceptsPerTurn {
            if clientCount >= options.connections && !evictIdleClient() { return pauseAccepting() }
            switch listeners[listener].accept() {
            case .stream(let stream, let peer): admit(stream, from: peer, listener: number)
            case .none: return
            case .exhausted: if !evictIdleClient() { return pauseAccepting() }
            }
        }
    }
    private mutating func admit(_ stream: consuming Stream, from peer: PeerAddress, listener: Int) {
        let namesSource = snapshots[current].limits[listener].namesSource
        if namesSource && !mayNameSource(peer, listener: listener) { return }
        let connection = ServerConnection(
            stream, address: ClientAddress(peer), listener: Int32(truncatingIfNeeded: listener),
            offersStreams: snapshots[current].limits[listener].streams > 0, namesSource: namesSource)
        guard let id = clients.insert(connection) else { return }
        clientCount += 1
        counters.tally.connectionsAccepted &+= 1
        counters.tally.connectionsActive &+= 1
        loop.register(clients[id].descriptor, Token(.client, id))
        clients[id].deadline = loop.timers.add(Token(.client, id), after(firstNanoseconds(id)))
        if snapshots[current].limits[listener].trustsPeers { judgePeer(id) }
    }
    /// How long a new connection has for what it must begin with.
    mutating func firstNanoseconds(_ id: SlotID) -> UInt64 {
        let head = snapshots[current].limits[Int(clients[id].listener)].headNanoseconds
        if clients[id].awaitsSource { return min(head, Self.sourceNanoseconds) }
        return clients[id].isTLS ? Self.handshakeNanoseconds : head
    }

    enum ConnectResult { case made(SlotID), refused, exhausted }

    mutating func connect(_ endpoint: Int32, for exchange: SlotID, _ route: Route) -> ConnectResult {
        var result = open(endpoint)
        if case .exhausted = result, evictIdleClient() { result = open(endpoint) }
        if case .made(let id) = result {
            loop.register(upstreams[id].descriptor, Token(.upstream, id))
            upstreams[id].deadline = loop.timers.add(Token(.upstream, id), after(route.connectNanoseconds))
            if route.sourceVersion != 0 { nameSource(of: exchange, to: id, route) }
        }
        return result
    }
    private mutating func open(_ endpoint: Int32) -> ConnectResult {
        do throws(SocketError) {
            let socket: Socket
            switch pool.endpoints[Int(endpoint)].address {
            case .socket(let address): socket = try Socket.connect(address)
            case .unix(let path): socket = try Socket.connect(unix: path)
            }
            guard let stream = stream(socket, to: endpoint) else { return .exhausted }
            let connection = ClientConnection(
                connecting: stream, endpoint: endpoint, isFramed: pool.endpoints[Int(endpoint)].isFramed)
            guard let id = upstreams.insert(connection) else { return .exhausted }
            return .made(id)
        } catch {
            return error.isExhaustion ? .exhausted : .refused
        }
    }

    // MARK: room

    /// No room: connections wait in the kernel's queue until some end; nobody is refused and nothing dies.
    private mutating func pauseAccepting() {
        counters.tally.acceptPauses &+= 1
        for id in listenerSlots where !listeners[id].isPaused {
            listeners[id].isPaused = true
            loop.pause(listeners[id].descriptor, Token(.listener, id), true)
        }
    }
    mutating func resumeAccepting() {
        guard !isDraining else { return }
        for id in listenerSlots where listeners[id].isPaused {
            listeners[id].isPaused = false
            loop.pause(listeners[id].descriptor, Token(.listener, id), false)
        }
    }
    /// Closes an idle upstream connection, or else an idle client: they lose least. False: everybody is busy.
    private mutating func evictIdleClient() -> Bool {
        if let id = pool.oldestIdle(in: &upstreams) {
            closeUpstream(id)
            if clientCount < options.connections { return true }
        }
        // Only those between two requests: the first request of a new connection may be on its way.
        for _ in 0..<min(1024, clients.capacity) {
            evictionCursor = (evictionCursor + 1) % clients.capacity
            if let id = clients.occupant(evictionCursor), isIdle(id), clients[id].requests > 0 {
                counters.tally.connectionsEvicted &+= 1
                closeClient(id)
                return true
            }
        }
        return false
    }

    // MARK: readiness

    mutating func clientReady(_ id: SlotID, _ readiness: Readiness) {
        // Both sides of a tunnel may have ended while there is something to read.
        if readiness.isFailed && !clients[id].isTunnel { return clientGone(id) }
        clients[id].note(readiness)
        if clients[id].outputCount > 0 && readiness.isWritable { markDirty(client: id) }
        guard readiness.isReadable || readiness.isWritable && clients[id].handshakeIsSending else { return }
        if clients[id].awaitsSource && !learnSource(id) { return }
        if clients[id].isHandshaking { awaitHandshake(id) } else { readClient(id) }
    }
    mutating func upstreamReady(_ id: SlotID, _ readiness: Readiness) {
        if upstreams[id].isFramed { return sharedReady(id, readiness) }
        let wasConnecting = upstreams[id].isConnecting
        if !upstreams[id].note(readiness) { return connectFailed(id) }
        if wasConnecting && !upstreams[id].isConnecting {
            upstreamConnected(id)
            // What came behind the handshake is here already, and nothing will say so again.
            if upstreams[id].isSecured { return resumeUpstream(id) }
        }
        if upstreams[id].outputCount > 0 && readiness.isWritable { markDirty(upstream: id) }
        if !(readiness.isReadable || readiness.isFailed) { return }
        // An idle connection has nothing to say but goodbye, and one that speaks before it is asked is poisoned.
        if upstreams[id].isIdle { return closeUpstream(id) }
        if upstreams[id].isReused && !upstreams[id].hasSent { return upstreamGone(id, .upstreamClosed) }
        readUpstream(id)
    }
    private mutating func upstreamConnected(_ id: SlotID) {
        let exchange = upstreams[id].exchange
        guard exchanges.contains(exchange) else { return }
        exchanges[exchange].upstreamConnected = loop.now
        if upstreams[id].isSecured { noteHandshake(id) }
        // A handshake may end with something to read.
        markDirty(upstream: id)
        armUpstream(id, route(of: exchange).readNanoseconds)
        resumeBody(exchange)
    }

    // MARK: deadlines

    mutating func clientDeadline(_ id: SlotID) {
        guard var deadline = clients[id].deadline else { return }
        let isDue = deadline.at <= loop.now
        if !isDue {
            loop.timers.schedule(&deadline)
            clients[id].deadline = deadline
            return
        }
        clientLate(id)
        // Whoever is still there has a new deadline; its node must be linked again.
        guard clients.contains(id), var next = clients[id].deadline else { return }
        if next.at <= loop.now { loop.timers.set(&next, after(Self.farNanoseconds)) }
        loop.timers.schedule(&next)
        clients[id].deadline = next
    }
    mutating func upstreamDeadline(_ id: SlotID) {
        if upstreams[id].isFramed { return sharedDeadline(id) }
        guard var deadline = upstreams[id].deadline else { return }
        if deadline.at <= loop.now {
            if upstreamLate(id) { return }
            guard upstreams.contains(id) else { return }
            loop.timers.set(&deadline, after(1_000_000_000))
        }
        loop.timers.schedule(&deadline)
        upstreams[id].deadline = deadline
    }
    mutating func armClient(_ id: SlotID, _ nanoseconds: UInt64) {
        let at = after(nanoseconds)
        if clients[id].deadline != nil { loop.timers.set(&clients[id].deadline!, at) }
    }
    mutating func armUpstream(_ id: SlotID, _ nanoseconds: UInt64) {
        let at = after(nanoseconds)
        if upstreams[id].deadline != nil { loop.timers.set(&upstreams[id].deadline!, at) }
    }
    func after(_ nanoseconds: UInt64) -> Instant { Instant(nanoseconds: loop.now.nanoseconds &+ nanoseconds) }

    mutating func sendNanoseconds(_ id: SlotID) -> UInt64 {
        let exchange = clients[id].exchange
        if exchanges.contains(exchange) { return route(of: exchange).sendNanoseconds }
        return snapshots[current].limits[Int(clients[id].listener)].sendNanoseconds
    }
    /// Nothing more came for now: what may be waited for, and how long.
    mutating func awaitClient(_ id: SlotID) {
        if clients[id].isLingering || clients[id].discards || clients[id].isTunnel { return }
        if clients[id].isReadingBody { return startBodyClock(clients[id].exchange) }
        guard clients[id].hasPartOfHead, !clients[id].headIsTimed else { return }
        clients[id].headIsTimed = true
        armClient(id, snapshots[current].limits[Int(clients[id].listener)].headNanoseconds)
    }

    /// A client did not do in time what it should have done.
    private mutating func clientLate(_ id: SlotID) {
        if clients[id].session != .none { return sessionLate(id) }
        if clients[id].awaitsSource { return sourceIsLate(id) }
        if clients[id].isHandshaking || clients[id].isLingering || clients[id].discards { return closeClient(id) }
        if clients[id].outputCount > 0 { return clientGone(id) }
        if clients[id].hasPartOfHead {
            heads[spare].clear()
            return refuseWithoutRequest(id, .requestTimeout)
        }
        if clients[id].isAtHead { return closeClient(id) }
        let exchange = clients[id].exchange
        guard exchanges.contains(exchange) else { return closeClient(id) }
        if keysAreLate(exchange) || clients[id].isTunnel { return }
        if clients[id].isReadingBody, bodyMayFlow(id), !clients[id].responseBegun {
            return refuse(exchange, .requestTimeout)
        }
        if clients[id].isReadingBody, bodyMayFlow(id) { return clientGone(id) }
    }
    /// True: the connection is gone.
    private mutating func upstreamLate(_ id: SlotID) -> Bool {
        let exchange = upstreams[id].exchange
        guard exchanges.contains(exchange) else {
            closeUpstream(id)
            return true
        }
        // Whom we do not read cannot be late; and while the client still sends, the upstream waits as we do.
        if isSending(exchange) { return false }
        if upstreams[id].isTunnel {
            upstreamGone(id, .upstreamTimeout)
            return !upstreams.contains(id)
        }
        let hasAll = !upstreams[id].isConnecting && upstreams[id].outputCount == 0
        if hasAll && isReadingBody(exchange) && stage(of: exchange) == .request { return false }
        upstreamGone(id, .upstreamTimeout)
        return true
    }

    // MARK: bodies that trickle

    mutating func startBodyClock(_ id: SlotID) {
        guard exchanges.contains(id), exchanges[id].waitingSince == nil, stage(of: id) == .request else { return }
        exchanges[id].waitingSince = loop.now
        let route = route(of: id)
        let grace: UInt64 = 10_000_000_000
        var wait = route.bodyNanoseconds
        if route.bodyMinimumRate > 0 {
            // When the average falls below the rate, counting only the time in which we wait for the client.
            let earned = exchanges[id].bodyReceived / route.bodyMinimumRate &* 1_000_000_000
            let allowed = max(grace, earned)
            wait = min(wait, allowed > exchanges[id].bodyNanoseconds ? allowed - exchanges[id].bodyNanoseconds : 0)
        }
        arm(id, wait)
    }
    mutating func stopBodyClock(_ id: SlotID) {
        guard let since = exchanges[id].waitingSince else { return }
        exchanges[id].bodyNanoseconds &+= spent(since: since)
        exchanges[id].waitingSince = nil
    }

    // MARK: ends

    /// The client ended its side: a whole request still gets its answer (RFC 9112 section 9.6).
    mutating func clientEnded(_ id: SlotID) {
        if clients[id].isTunnel { return tunnelInputEnded(clients[id].exchange) }
        guard clients[id].outputCount > 0, clients[id].isAtHead || clients[id].isClosing else { return clientGone(id) }
        clients[id].close()
        markDirty(client: id)
    }
    /// The client left, or cannot be talked to any more.
    mutating func clientGone(_ id: SlotID) {
        let exchange = clients[id].exchange
        if exchanges.contains(exchange) {
            leaveUpstream(exchange)
            log(exchange)
        }
        if clients[id].outputCount > 0 { clients[id].abort() }
        closeClient(id)
    }
    /// The last answer is out: the connection ends in order.
    mutating func endClient(_ id: SlotID) {
        if clients[id].endOutput() { return closeClient(id) }
        armClient(id, Self.lingerNanoseconds)
        resumeClient(id)
    }
    mutating func closeClient(_ id: SlotID) {
        if clients[id].session != .none { closeSession(of: id) }
        if clients[id].isHandshaking { counters.tally.tlsHandshakeFailures &+= 1 }
        if let deadline = clients[id].deadline { loop.timers.remove(deadline) }
        clients[id].release(&buffers)
        clients.destroy(id)
        clientCount -= 1
        counters.tally.connectionsActive &-= 1
    }
    mutating func closeUpstream(_ id: SlotID) {
        pool.forget(id, in: &upstreams)
        if let deadline = upstreams[id].deadline { loop.timers.remove(deadline) }
        upstreams[id].release(&buffers)
        upstreams.destroy(id)
    }
}
