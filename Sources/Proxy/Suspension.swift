// Requests that cannot be judged yet: they wait in order for their turn to have a signature checked, or for keys that are being
// fetched. An exchange that waits is a slot with a reason; what it waits for names the exchange, and a late answer finds the
// slot empty.
import Bytes
import Connections
import HTTP
import JOSE
import Policy
import Reactor
import Telemetry

/// Why an exchange does not go on.
enum Waiting: UInt8 { case nothing, turn, keys, lookup }

/// An exchange that waits for its turn, with the hash of its token.
struct WaitingExchange {
    let id: SlotID
    let hash: SHA256Value
}

extension Worker {
    /// Every connection of a busy worker may come with a new token when it has just started; with RS256 the last of so many
    /// waits 0.15 s. More would wait longer than clients do.
    private static let turnsLimit = 8192
    /// While requests are served whose token was seen before, they are not kept waiting by more than this many signatures.
    private static let verificationsBesideOthers = 1
    /// How long after the last of them: some gaps between requests of a client that sends a thousand a second.
    private static let sparingNanoseconds: UInt64 = 10_000_000

    /// The signature is checked at the end of this turn of the loop or of one of the next, after those who came before, and after
    /// the output of all others has left.
    mutating func awaitTurn(_ id: SlotID) {
        guard waitingForTurn.count < Self.turnsLimit else { return refuse(id, .overloaded) }
        exchanges[id].waiting = .turn
        waitingForTurn.append(WaitingExchange(id: id, hash: authenticator.postponed))
    }
    /// Takes up as many as one turn may check.
    mutating func takeUpWaiting() {
        let most = verificationsNow()
        authenticator.beginVerifying(atMost: most)
        // Each that is taken up costs a signature, or ends: the line cannot be walked twice in one turn.
        for _ in 0..<min(waitingForTurn.count, most) {
            guard let next = waitingForTurn.next() else { break }
            if exchanges.contains(next.id), exchanges[next.id].waiting == .turn {
                takeUp(next.id, next.hash, isFinal: false)
            }
        }
        authenticator.endVerifying()
    }
    private mutating func verificationsNow() -> Int {
        if authenticator.hits != hitsAtLastTurn {
            hitsAtLastTurn = authenticator.hits
            sparesUntil = Instant(nanoseconds: loop.now.nanoseconds + Self.sparingNanoseconds)
        }
        return loop.now < sparesUntil ? Self.verificationsBesideOthers : Authenticator.verificationsPerTurn
    }

    /// One fetch serves all who wait; the control thread says when it is over.
    mutating func awaitKeys(_ id: SlotID, of provider: SlotID, atMost limit: Duration) {
        guard let name = authenticator.name(of: provider) else { return refuse(id, .keysUnavailable) }
        exchanges[id].waiting = .keys
        exchanges[id].awaited = provider
        authenticator.wait(for: provider)
        counters.tally.keysAwaited &+= 1
        waitingForKeys.append(id)
        if exchanges[id].awaitsUntil == nil { counters.tally.keyWaits &+= 1 }
        // Some keys that came were not the wanted ones: that does not prolong the wait.
        let end = exchanges[id].awaitsUntil ?? after(limit.nanoseconds)
        exchanges[id].awaitsUntil = end
        arm(id, end > loop.now ? end.nanoseconds - loop.now.nanoseconds : 0)
        if !wantedKeys.contains(name) {
            wantedKeys.append(name)
            options.control.post(.keysWanted(provider: name, version: keyVersions[name] ?? 0))
        }
    }
    /// The keys of that provider were fetched, or could not be: whoever waited takes what there is if that is all
    /// (`isFinal`), else asks again: another source of the same provider may have more.
    mutating func keysSettled(_ name: String, isFinal: Bool) {
        wantedKeys.removeAll { $0 == name }
        let waiting = waitingForKeys
        waitingForKeys = []
        for id in waiting where exchanges.contains(id) && exchanges[id].waiting == .keys {
            if authenticator.name(of: exchanges[id].awaited) == name {
                takeUp(id, isFinal: isFinal)
            } else {
                waitingForKeys.append(id)
            }
        }
    }
    /// The client's deadline came while its request waits: true, and the request goes on with what there is.
    mutating func keysAreLate(_ id: SlotID) -> Bool {
        guard exchanges[id].waiting == .keys else { return false }
        // Later ones need not wait as long for the same fetch.
        if let name = authenticator.name(of: exchanges[id].awaited) { wantedKeys.removeAll { $0 == name } }
        takeUp(id, isFinal: true)
        return true
    }

    mutating func takeUp(_ id: SlotID, _ hash: SHA256Value? = nil, isFinal: Bool) {
        let client = exchanges[id].client
        if isFinal { exchanges[id].hasWaited = true }
        endWaiting(id)
        input.clear()
        if exchanges[id].long != .none { return judgeAgain(id, hash) }
        arm(id, Self.farNanoseconds)
        authenticate(id, route(of: id), hash)
        if clients.contains(client) { resumeClient(client) }
    }
    mutating func endWaiting(_ id: SlotID) {
        switch exchanges[id].waiting {
        case .nothing, .turn: break
        case .lookup: authenticator.stopWaiting(for: exchanges[id].awaited)
        case .keys:
            authenticator.stopWaiting(for: exchanges[id].awaited)
            counters.tally.keysAwaited &-= 1
        }
        exchanges[id].waiting = .nothing
    }
}
