// The connections over which lookups go: made, kept, used again, given up.
import Bytes
import Configuration
import Connections
import HTTP
import Policy
import Reactor
import Transport

extension LookupService {
    // MARK: sending

    /// Sends the question over a kept connection or a new one, or lets it wait for one.
    mutating func dispatch(_ id: SlotID) {
        let endpoint = lookups[id].endpoint
        if !lookups[id].wantsFreshConnection {
            while let connection = endpoints[endpoint].idle.popLast() {
                if connections.contains(connection) { return send(id, over: connection) }
            }
        }
        guard endpoints[endpoint].connections < Self.connectionLimit else {
            return endpoints[endpoint].waiting.append(id)
        }
        guard let connection = connect(endpoint) else { return addressFailed(id) }
        send(id, over: connection)
    }
    mutating func takeUpWaiting(_ endpoint: SlotID) {
        while let id = endpoints[endpoint].waiting.first {
            guard endpoints[endpoint].connections < Self.connectionLimit || !endpoints[endpoint].idle.isEmpty else {
                return
            }
            endpoints[endpoint].waiting.removeFirst()
            if lookups.contains(id) { dispatch(id) }
        }
    }
    private mutating func send(_ id: SlotID, over connection: SlotID) {
        lookups[id].connection = connection
        lookups[id].answer = LookupAnswer(status: 0)
        connections[connection].exchange = id
        connections[connection].beginRequest(.none, isHEAD: false)
        let bytes = lookups[id].request.bytes
        connections[connection].output.reserve(bytes.count, &buffers)
        connections[connection].output.append(bytes.span)
        connections[connection].endRequest(&buffers)
        if !connections[connection].isConnecting { advance(connection) }
    }

    // MARK: connecting

    private mutating func connect(_ endpoint: SlotID) -> SlotID? {
        let target = endpoints[endpoint].target
        let address = target.addresses[endpoints[endpoint].address % target.addresses.count]
        do throws(SocketError) {
            let socket = try Socket.connect(address)
            guard let stream = stream(socket, endpoint),
                let id = connections.insert(ClientConnection(connecting: stream, endpoint: endpoint.index))
            else { return nil }
            endpoints[endpoint].connections += 1
            loop.register(connections[id].descriptor, Token(.upstream, id))
            connections[id].deadline = loop.timers.add(Token(.upstream, id), after(Self.connectNanoseconds))
            return id
        } catch {
            return nil
        }
    }
    private mutating func stream(_ socket: consuming Socket, _ endpoint: SlotID) -> Stream? {
        let target = endpoints[endpoint].target
        guard target.address.isTLS else { return Stream(socket) }
        guard let session = session(socket, endpoint, target) else { return nil }
        return Stream(socket, tls: session)
    }
    private mutating func session(
        _ socket: borrowing Socket, _ endpoint: SlotID, _ target: LookupTarget
    ) -> TLSSession? {
        let (host, isAddress) = (target.address.host, target.address.isLiteral)
        guard let authorities = target.authorities else {
            if tls == nil { tls = try? TLSContext.client() }
            return tls?.connect(on: socket, host: host, isAddress: isAddress)
        }
        if endpoints[endpoint].tls == nil {
            endpoints[endpoint].tls = try? TLSContext.client(authorities: authorities)
        }
        return endpoints[endpoint].tls?.connect(on: socket, host: host, isAddress: isAddress)
    }
    /// No connection to the present address: another one may be had, each once for a question.
    private mutating func addressFailed(_ id: SlotID) {
        let endpoint = lookups[id].endpoint
        endpoints[endpoint].address += 1
        lookups[id].connection = .none
        lookups[id].failedAddresses += 1
        if lookups[id].failedAddresses >= endpoints[endpoint].target.addresses.count { return failed(id, .unreachable) }
        lookups[id].wantsFreshConnection = true
        dispatch(id)
    }

    // MARK: events

    mutating func ready(_ id: SlotID, _ readiness: Readiness) {
        guard connections.contains(id) else { return }
        guard connections[id].note(readiness) else { return broken(id, beforeConnecting: true) }
        if connections[id].isConnecting { return }
        // One that rests has nothing to say but goodbye, and one that speaks unasked is not to be believed.
        if connections[id].isIdle {
            if readiness.isReadable || readiness.isFailed { discard(id) }
            return
        }
        advance(id)
    }
    /// Writing carries a TLS handshake on as well, and reading may end one: so both, and writing once more.
    private mutating func advance(_ id: SlotID) {
        if case .broken = connections[id].flush(&buffers) {
            connections[id].stopSending(&buffers)
        }
        receive(id)
        if connections.contains(id), !connections[id].isIdle, connections[id].outputCount > 0 {
            if case .broken = connections[id].flush(&buffers) { broken(id, beforeConnecting: false) }
        }
    }
    private mutating func receive(_ id: SlotID) {
        while connections.contains(id), !connections[id].isIdle {
            switch connections[id].receive(into: &input, &buffers) {
            case .nothing: return
            case .closed:
                guard connections[id].endOfStream() else { return broken(id, beforeConnecting: false) }
                return answered(connections[id].exchange)
            case .failed: return broken(id, beforeConnecting: false)
            case .bytes: if takeEvents(id) { return }
            }
            guard connections.contains(id), connections[id].canProceed else { return }
        }
    }
    /// True: the question is over.
    private mutating func takeEvents(_ id: SlotID) -> Bool {
        let lookup = connections[id].exchange
        while true {
            switch connections[id].next(in: &input, head: &response) {
            case .head: if !takeHead(lookup) { return true }
            case .body(let n):
                guard lookups[lookup].answer.body.count + n <= Self.bodyLimit else {
                    failed(lookup, .invalid)
                    return true
                }
                appendBody(input, n, to: &lookups[lookup].answer.body)
                input.consume(n)
            case .end:
                answered(lookup)
                return true
            case .starved, .paused:
                connections[id].keep(&input, &buffers)
                return false
            case .malformed, .overrun, .streams:
                failed(lookup, .invalid)
                return true
            }
        }
    }
    /// False: the answer says nothing, and the question is over.
    private mutating func takeHead(_ id: SlotID) -> Bool {
        if response.isInterim { return true }
        lookups[id].answer.status = response.status
        let wanted = lookups[id].request.target.fields
        for name in wanted { lookups[id].answer.fields.append(value(of: Array(name.utf8), in: response)) }
        guard value(of: Array("content-encoding".utf8), in: response) == nil else {
            failed(id, .invalid)
            return false
        }
        return true
    }

    // MARK: ends

    /// The connection is of no use: the question goes over another one where that is safe, and fails otherwise.
    private mutating func broken(_ id: SlotID, beforeConnecting: Bool) {
        let lookup = connections[id].exchange
        let wasReused = connections[id].isReused && !connections[id].hasReceived
        discard(id)
        guard lookups.contains(lookup) else { return }
        lookups[lookup].connection = .none
        if beforeConnecting { return addressFailed(lookup) }
        // The server ended a connection that rested, while the question was on its way.
        guard wasReused else { return failed(lookup, .unreachable) }
        lookups[lookup].wantsFreshConnection = true
        dispatch(lookup)
    }
    /// The question that used it is over: it rests or ends.
    mutating func release(_ id: SlotID) {
        guard connections.contains(id) else { return }
        connections[id].exchange = .none
        if !connections[id].isReusable, case .nothing = connections[id].receive(into: &input, &buffers) {}
        guard connections[id].isReusable, let endpoint = endpoints.occupant(connections[id].endpoint) else {
            return discard(id)
        }
        connections[id].rest()
        endpoints[endpoint].idle.append(id)
        if connections[id].deadline != nil { loop.timers.set(&connections[id].deadline!, after(Self.idleNanoseconds)) }
    }
    mutating func discard(_ id: SlotID) {
        guard connections.contains(id) else { return }
        if let endpoint = endpoints.occupant(connections[id].endpoint) {
            endpoints[endpoint].connections -= 1
            endpoints[endpoint].idle.removeAll { $0 == id }
        }
        if let deadline = connections[id].deadline { loop.timers.remove(deadline) }
        connections[id].release(&buffers)
        connections.destroy(id)
    }
    mutating func connectionLate(_ id: SlotID) {
        guard connections.contains(id), var deadline = connections[id].deadline else { return }
        if deadline.at <= loop.now {
            if connections[id].isConnecting { return broken(id, beforeConnecting: true) }
            if connections[id].isIdle { return discard(id) }
            // A question runs: it has a deadline of its own.
            loop.timers.set(&deadline, after(Self.idleNanoseconds))
        }
        loop.timers.schedule(&deadline)
        connections[id].deadline = deadline
    }
}

private func appendBody(_ input: borrowing ByteBuffer, _ n: Int, to body: inout [UInt8]) {
    let bytes = input.bytes
    for i in 0..<n { body.append(bytes[i]) }
}
private func value(of name: [UInt8], in head: borrowing ResponseHead) -> [UInt8]? {
    guard let range = head.value(named: name.span) else { return nil }
    let bytes = head.bytes
    return range.map { bytes[$0] }
}
