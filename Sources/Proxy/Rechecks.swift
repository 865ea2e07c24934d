// `token_recheck`: a request that lasts is judged again as a new one would be, by the same steps, and ends when that one would
// be refused: its token expired or was revoked, its key was withdrawn, its role lost a permission.
import Bytes
import Connections
import HTTP
import JOSE
import Policy
import Reactor
import Telemetry

extension Worker {
    /// The clocks of tokens count seconds: not more often than this just to see that it is not over yet.
    private static let soonNanoseconds: UInt64 = 250_000_000
    /// There was no room for the question.
    private static let retryNanoseconds: UInt64 = 1_000_000_000

    /// After the interval, or when what is known of who asks comes to its end.
    mutating func armRecheck(_ id: SlotID) {
        let principals = exchanges[id].principals
        var left = Int64.max
        for i in 0..<Int(principals.count) {
            left = min(left, max(authenticator.goodUntil(principals[i]), 0) - loop.wallSeconds)
        }
        var wait = route(of: id).recheckNanoseconds
        if left < 86_400 { wait = min(wait, UInt64(max(left, 0)) * 1_000_000_000) }
        armLong(exchanges[id].long, max(wait, Self.soonNanoseconds))
    }

    mutating func recheck(_ id: SlotID) {
        // It is being judged already, and waits for a service.
        guard exchanges[id].waiting == .nothing, exchanges[id].principal.isKnown else { return }
        counters.tally.tokenRechecks &+= 1
        longExchanges[exchanges[id].long].earlier = exchanges[id].principals
        exchanges[id].principals = .anonymous
        exchanges[id].lookups = 0
        exchanges[id].asksAnew = false
        // A key that is not here is gone: the token's was known.
        exchanges[id].hasWaited = true
        judgeAgain(id)
    }
    /// Ends in `stays` or in `endsForGood`, now or, when it has to wait, by way of `takeUp`.
    mutating func judgeAgain(_ id: SlotID, _ hash: SHA256Value? = nil) {
        let long = exchanges[id].long
        longExchanges[long].isJudged = true
        authenticate(id, route(of: id), hash)
        if longExchanges.contains(long) { longExchanges[long].isJudged = false }
    }
    /// It would be let in.
    mutating func stays(_ id: SlotID) {
        let long = exchanges[id].long
        letGo(longExchanges[long].earlier)
        longExchanges[long].earlier = .anonymous
        if exchanges[id].principal.isKnown { armRecheck(id) }
    }

    /// It would be refused. False: nothing of an answer is out, so that the refusal can be one like any other.
    mutating func endsForGood(_ id: SlotID, _ kind: LocalResponse) -> Bool {
        let long = exchanges[id].long
        guard longExchanges[long].isJudged else { return false }
        // The log tells whose request it was.
        letGoPrincipals(id)
        exchanges[id].principals = longExchanges[long].earlier
        longExchanges[long].earlier = .anonymous
        if kind == .overloaded {
            armLong(long, Self.retryNanoseconds)
            return true
        }
        counters.tally.tokenRecheckEnds &+= 1
        longExchanges[long].wasRefused = true
        guard responseBegun(id) else { return false }
        exchanges[id].reason = kind
        counters.rejected(Int(kind.rawValue))
        if longExchanges[long].stage == .tunnel {
            let reason = route(of: id).detail == 0 ? "" : kind.code
            endTunnel(id, kind.status >= 500 ? .tryAgainLater(reason) : .unauthenticated(reason))
        } else {
            endAnswer(id, kind)
        }
        return true
    }
    /// What the client has of the answer is all it gets, and it can tell.
    private mutating func endAnswer(_ id: SlotID, _ kind: LocalResponse) {
        let client = exchanges[id].client, stream = exchanges[id].stream
        leaveUpstream(id)
        if stream == .none {
            // Without the end of the message the end of the connection says that it is not whole; where it would say that it
            // is, the connection is reset.
            if clients[client].endMessageHalfway() { markDirty(client: client) } else { return cutOff(id) }
            return log(id)
        }
        let session = streams[stream].session, number = streams[stream].number
        if AnswerFormat(for: heads[exchanges[id].head]) == .grpc {
            sessions[session].finish(number, trailers: kind.callTrailers(showsCode: route(of: id).detail > 0))
            markDirty(client: client)
            return log(id)
        }
        log(id)
        endStream(stream, .cancelled)
    }
}
