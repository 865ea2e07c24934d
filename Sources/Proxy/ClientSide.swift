// What an exchange does to its client, whose connection may carry this request alone, or be one of many streams. The first is
// the line that is taken in place.
import Bytes
import Connections
import HTTP
import Policy
import Reactor

extension Worker {
    // MARK: the request

    @inline(__always) mutating func requestIsComplete(_ id: SlotID) -> Bool {
        exchanges[id].stream == .none
            ? clients[exchanges[id].client].requestIsComplete : streams[exchanges[id].stream].requestIsComplete
    }
    @inline(__always) mutating func isReadingBody(_ id: SlotID) -> Bool {
        exchanges[id].stream == .none
            ? clients[exchanges[id].client].isReadingBody : !streams[exchanges[id].stream].requestIsComplete
    }
    /// An upstream can take more of the body.
    @inline(__always) mutating func resumeBody(_ id: SlotID) {
        if exchanges[id].stream != .none { return resumeStreamBody(id) }
        let client = exchanges[id].client
        if clients[client].isReadingBody { resumeClient(client) }
    }
    /// The upstream was chosen: whatever is here of the body goes to it, and what is to come has its time.
    @inline(__always) mutating func awaitBody(_ id: SlotID) {
        if exchanges[id].stream != .none { resumeStreamBody(id) }
        startBodyClock(id)
    }
    /// The client sends its body when it is told to, and nothing of it is here.
    mutating func awaitsContinue(_ id: SlotID) -> Bool {
        let client = exchanges[id].client, stream = exchanges[id].stream
        if stream != .none { return !streams[stream].hasEnded && !streams[stream].keepsBytes }
        return clients[client].isReadingBody && input.isEmpty && !clients[client].keepsBytes
    }
    mutating func sendContinue(_ id: SlotID) {
        let client = exchanges[id].client, stream = exchanges[id].stream
        if stream == .none {
            clients[client].sendContinue(&buffers)
        } else {
            streamFields.take(status: 100, Span())
            sessions[streams[stream].session].inform(streamFields, streams[stream].number)
        }
        markDirty(client: client)
    }

    // MARK: the answer

    @inline(__always) mutating func responseBegun(_ id: SlotID) -> Bool {
        exchanges[id].stream == .none
            ? clients[exchanges[id].client].responseBegun : streams[exchanges[id].stream].responseBegun
    }
    /// No more of an answer is to be read before the client has taken some.
    @inline(__always) mutating func isBackedUp(_ id: SlotID) -> Bool {
        if exchanges[id].stream != .none { return streamIsBackedUp(id) }
        return clients[exchanges[id].client].outputCount >= ConnectionLimits.backPressure
    }
    /// Something of an answer waits for the client.
    @inline(__always) mutating func isSending(_ id: SlotID) -> Bool {
        let client = exchanges[id].client, stream = exchanges[id].stream
        if stream == .none { return clients[client].outputCount > 0 }
        return sessions[streams[stream].session].isSending(streams[stream].number)
    }
    @inline(__always) mutating func relayResponse(_ id: SlotID, from upstream: SlotID) -> MessageEvent {
        let stream = exchanges[id].stream
        if stream == .none {
            return relayAnswer(
                from: &upstreams[upstream], to: &clients[exchanges[id].client], &input, head: &response,
                &exchanges[id], &buffers)
        }
        return relayAnswer(
            from: &upstreams[upstream], to: &sessions[streams[stream].session], streams[stream].number, &input,
            head: &response, &exchanges[id], &buffers)
    }
    /// Moves `n` bytes of the answer's body from the front of the input.
    mutating func sendBody(_ n: Int, of id: SlotID) {
        let client = exchanges[id].client, stream = exchanges[id].stream
        exchanges[id].bodySent &+= UInt64(n)
        if stream == .none {
            relayBody(n, of: &input, to: &clients[client], &buffers)
        } else {
            relayBody(n, of: &input, to: &sessions[streams[stream].session], streams[stream].number, &buffers)
        }
    }
    mutating func sendInterim(_ id: SlotID, _ filter: SlotID) {
        let client = exchanges[id].client, stream = exchanges[id].stream, snapshot = exchanges[id].snapshot
        if stream == .none {
            return clients[client].sendInterim(response, dropping: snapshots[snapshot].filters[filter], &buffers)
        }
        takeAnswer(filter, of: snapshot, withAdded: false)
        sessions[streams[stream].session].inform(streamFields, streams[stream].number)
    }
    @inline(__always) mutating func sendHead(_ id: SlotID, _ filter: SlotID) {
        let client = exchanges[id].client, stream = exchanges[id].stream, snapshot = exchanges[id].snapshot
        if stream == .none {
            clients[client].sendHead(
                response, dropping: snapshots[snapshot].filters[filter], adding: added, &buffers)
        } else {
            takeAnswer(filter, of: snapshot, withAdded: true)
            sendHeadToStream(stream)
        }
    }
    private mutating func takeAnswer(_ filter: SlotID, of snapshot: SlotID, withAdded: Bool) {
        if !withAdded { added.clear() }
        streamFields.take(response, dropping: snapshots[snapshot].filters[filter], adding: added, &buffers)
    }
    private mutating func sendHeadToStream(_ stream: SlotID) {
        streams[stream].beginResponse()
        let isWhole =
            response.framing == .none || response.framing == .length && response.contentLength == 0 || response.isWhole
        sessions[streams[stream].session].respond(streamFields, streams[stream].number, isWhole: isWhole)
    }
    /// True: the connection waits for its next request.
    @inline(__always) mutating func endResponse(_ id: SlotID) -> Bool {
        let client = exchanges[id].client, stream = exchanges[id].stream
        if hasTrailers(id) { return endResponseWithTrailers(id) }
        if stream == .none { return clients[client].endResponse(&buffers) }
        sessions[streams[stream].session].finish(streams[stream].number)
        return false
    }
    /// An answer of the gateway's own must be the last: asked before it is made.
    mutating func answerEndsConnection(_ id: SlotID, _ isBroken: Bool = false) -> Bool {
        guard exchanges[id].stream == .none else { return false }
        return clients[exchanges[id].client].mustClose(after: heads[exchanges[id].head]) || isBroken
    }
    mutating func sendLocalToStream(_ id: SlotID) {
        let client = exchanges[id].client, stream = exchanges[id].stream
        streams[stream].beginResponse()
        sendAnswer(
            responses, as: &streamFields, to: &sessions[streams[stream].session], streams[stream].number, &buffers)
        markDirty(client: client)
        log(id)
    }

    // MARK: the connection

    /// It takes no further request.
    mutating func closeAfterResponse(_ id: SlotID) {
        let client = exchanges[id].client
        if exchanges[id].stream == .none { clients[client].closeAfterResponse() } else { drainSession(of: client) }
    }
    /// How long the client may be waited for.
    @inline(__always) mutating func arm(_ id: SlotID, _ nanoseconds: UInt64) {
        let stream = exchanges[id].stream
        if stream == .none { armClient(exchanges[id].client, nanoseconds) } else { armStream(stream, nanoseconds) }
    }
    /// Ends an exchange whose time is over, without an answer.
    mutating func abandon(_ id: SlotID) {
        let client = exchanges[id].client, stream = exchanges[id].stream
        if stage(of: id) == .tunnel { return endTunnel(id, .goingAway("restart")) }
        if stream == .none { return clientGone(client) }
        dropExchange(id)
        endStream(stream, .cancelled)
    }
    /// The client left: nobody wants the answer.
    mutating func dropExchange(_ id: SlotID) {
        let upstream = exchanges[id].upstream
        // It may have left when it had said all.
        if upstreams.contains(upstream), upstreams[upstream].isTunnel { _ = upstreams[upstream].flush(&buffers) }
        leaveUpstream(id)
        log(id)
    }
}
