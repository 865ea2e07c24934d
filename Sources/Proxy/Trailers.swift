// Fields behind bodies, in both directions. They are never part of a head: what was decided by the head stays decided.
import Bytes
import Connections
import HTTP

extension Worker {
    // MARK: of requests

    /// Ends a request, with what its client sent behind the body where the client speaks of trailers at all.
    @inline(__always) mutating func endRequest(_ id: SlotID, to upstream: SlotID) {
        let client = exchanges[id].client, stream = exchanges[id].stream
        let isPlain = stream == .none ? clients[client].trailers.isEmpty : streams[stream].trailers.isEmpty
        if isPlain { return upstreams[upstream].endRequest(on: exchanges[id].call, &buffers) }
        endRequestWithTrailers(id, to: upstream)
    }
    private mutating func endRequestWithTrailers(_ id: SlotID, to upstream: SlotID) {
        let client = exchanges[id].client, stream = exchanges[id].stream
        guard heads[exchanges[id].head].takesTrailers() else {
            return upstreams[upstream].endRequest(on: exchanges[id].call, &buffers)
        }
        let route = route(of: id)
        let lines = stream == .none ? clients[client].trailers : streams[stream].trailers
        let filter = exchanges[id].isPreflight ? route.preflightFilter : route.requestFilter
        var passed: [UInt8] = []
        TrailerFilter.append(lines.span, dropping: snapshots[exchanges[id].snapshot].filters[filter], to: &passed)
        upstreams[upstream].endRequest(on: exchanges[id].call, trailers: passed, &buffers)
    }
    /// Whoever takes trailers behind us is told so, as far as the next connection (RFC 9110 section 10.1.4).
    mutating func askForTrailers() { added.append("TE: trailers\r\nConnection: TE\r\n") }

    mutating func takeTrailers(_ stream: SlotID, _ range: Range<Int>) {
        keepTrailers(range, of: sessions[streams[stream].session], in: &streams[stream])
    }

    // MARK: of answers

    @inline(__always) mutating func hasTrailers(_ id: SlotID) -> Bool {
        let upstream = exchanges[id].upstream
        if exchanges[id].call == .none { return !upstreams[upstream].trailers.isEmpty }
        return !upstreams[upstream].trailers(of: exchanges[id].call).isEmpty
    }
    /// Streams can always carry them; another client must have said that it takes them (RFC 9110 section 6.5.1).
    mutating func endResponseWithTrailers(_ id: SlotID) -> Bool {
        let client = exchanges[id].client, stream = exchanges[id].stream
        let route = route(of: id)
        let snapshot = exchanges[id].snapshot
        let filter = exchanges[id].isPreflight ? snapshots[snapshot].responseFilter : route.responseFilter
        let lines = upstreams[exchanges[id].upstream].trailers(of: exchanges[id].call)
        var passed: [UInt8] = []
        TrailerFilter.append(lines.span, dropping: snapshots[snapshot].filters[filter], to: &passed)
        guard stream == .none else {
            sessions[streams[stream].session].finish(streams[stream].number, trailers: passed)
            return false
        }
        guard heads[exchanges[id].head].takesTrailers() else { return clients[client].endResponse(&buffers) }
        return clients[client].endResponse(trailers: passed, &buffers)
    }
}

private func keepTrailers(_ range: Range<Int>, of session: borrowing ServerSession, in stream: inout ServerStream) {
    stream.keep(trailers: session.part(range))
}
