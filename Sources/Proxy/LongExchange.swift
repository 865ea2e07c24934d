// What an exchange has besides when it may last: it is judged again while it runs, or became a tunnel.
import Bytes
import HTTP
import Policy
import Reactor
import Telemetry

struct LongExchange: ~Copyable {
    enum Stage: UInt8 {
        case request
        /// A change of the protocol was asked for.
        case asked
        /// It was agreed to.
        case tunnel
    }
    private let inPlace = InPlace()
    let exchange: SlotID
    var stage = Stage.request
    /// Of the next judgement, or of the end of a frame that has to come.
    var deadline: Deadline?

    // MARK: judged again

    /// Who was found to send it, while that is being asked again.
    var earlier = PrincipalSet.anonymous
    /// The verdict that comes now is about a request that runs.
    var isJudged = false
    /// That verdict ended it.
    var wasRefused = false

    // MARK: a tunnel

    /// The key that we made for a client without one, and what the upstream has to make of the key that it gets.
    var key: [UInt8] = []
    var acceptance: [UInt8] = []
    /// The frames towards the client and towards the upstream.
    var down = FrameFollower()
    var up = FrameFollower()
    /// The upstream, and the client, have sent all.
    var downHasEnded = false
    var upHasEnded = false
    /// Said to both when the frame that is passing is over.
    var ending: CloseFrame?

    init(exchange: SlotID) { self.exchange = exchange }
}

extension Worker {
    /// Of an exchange that has nothing besides, it is that of every request.
    mutating func stage(of id: SlotID) -> LongExchange.Stage {
        let long = exchanges[id].long
        return long == .none ? .request : longExchanges[long].stage
    }

    /// Asked when a request is admitted: what it needs to last. False: it was refused.
    mutating func prepare(_ id: SlotID, _ route: Route) -> Bool {
        let head = exchanges[id].head
        let verdict =
            heads[head].hasUpgrade
            ? WebSocketHandshake.judge(heads[head], passes: route.action == .proxy && route.passesUpgrades) : .none
        if case .refused(let response) = verdict {
            refuse(id, response)
            return false
        }
        let isRechecked = route.recheckNanoseconds > 0 && route.action == .proxy && exchanges[id].principal.isKnown
        guard verdict == .asked || isRechecked else { return true }
        guard let long = longExchanges.insert(LongExchange(exchange: id)) else {
            refuse(id, .overloaded)
            return false
        }
        exchanges[id].long = long
        if isRechecked { armRecheck(id) }
        guard verdict == .asked else { return true }
        longExchanges[long].stage = .asked
        let isKeyless = heads[head].isFramed
        let key = isKeyless ? WebSocketHandshake.makeKey() : WebSocketHandshake.key(of: heads[head])
        if isKeyless { longExchanges[long].key = key }
        longExchanges[long].acceptance = WebSocketHandshake.acceptance(of: key)
        return true
    }
    /// Fields that ask for the change of the protocol, instead of the client's own, which did not travel on.
    mutating func writeUpgrade(_ id: SlotID) {
        added.append("Upgrade: websocket\r\nConnection: Upgrade\r\n")
        let key = longExchanges[exchanges[id].long].key
        if key.isEmpty { return }
        added.append("Sec-WebSocket-Key: ")
        added.append(key.span)
        added.append("\r\n")
    }
    /// The exchange is over.
    mutating func endLong(_ id: SlotID) {
        let long = exchanges[id].long
        if let deadline = longExchanges[long].deadline { loop.timers.remove(deadline) }
        letGo(longExchanges[long].earlier)
        if longExchanges[long].stage == .tunnel { counters.tally.upgradesActive &-= 1 }
        longExchanges.destroy(long)
        exchanges[id].long = .none
    }

    mutating func armLong(_ long: SlotID, _ nanoseconds: UInt64) {
        let at = after(nanoseconds)
        if longExchanges[long].deadline != nil {
            loop.timers.set(&longExchanges[long].deadline!, at)
        } else {
            longExchanges[long].deadline = loop.timers.add(Token(.exchange, long), at)
        }
    }
    mutating func longDeadline(_ long: SlotID) {
        guard var deadline = longExchanges[long].deadline else { return }
        if deadline.at <= loop.now {
            let id = longExchanges[long].exchange
            if longExchanges[long].ending == nil { recheck(id) } else { cutTunnel(id) }
            guard longExchanges.contains(long), let next = longExchanges[long].deadline else { return }
            deadline = next
            if deadline.at <= loop.now { loop.timers.set(&deadline, after(Self.farNanoseconds)) }
        }
        loop.timers.schedule(&deadline)
        longExchanges[long].deadline = deadline
    }
}
