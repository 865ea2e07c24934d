// Requests that cannot be judged yet: they wait in order for their turn to have a signature checked, or for keys that are being
// fetched. An exchange that waits is a slot with a reason; what it waits for names the exchange, and a late answer finds the
// slot empty.
import Bytes
import Connections
import HTTP
import Policy
import Reactor
import Telemetry

/// Why an exchange does not go on.
enum Waiting: UInt8 { case nothing, turn, keys }

/// Exchanges in the order in which they came.
struct WaitingLine: ~Copyable {
    /// More would wait longer than a client should: 1024 signatures of RS256 take 20 ms.
    static let limit = 1024

    private var ids: [SlotID] = []
    private var taken = 0
    var count: Int { ids.count - taken }
    var isEmpty: Bool { count == 0 }

    mutating func append(_ id: SlotID) { ids.append(id) }
    mutating func next() -> SlotID? {
        guard taken < ids.count else { return nil }
        let id = ids[taken]
        taken += 1
        if taken == ids.count || taken > Self.limit {
            ids.removeFirst(taken)
            taken = 0
        }
        return id
    }
}

extension Worker {
    /// The signature is checked in one of the next turns, after those who came before.
    mutating func awaitTurn(_ id: SlotID) {
        guard waitingForTurn.count < WaitingLine.limit else { return refuse(id, .overloaded) }
        exchanges[id].waiting = .turn
        waitingForTurn.append(id)
    }
    /// Takes up as many as this turn may check.
    mutating func takeUpWaiting() {
        authenticator.beginTurn()
        // Each that is taken up costs a signature, or ends: the line cannot be walked twice in one turn.
        for _ in 0..<min(waitingForTurn.count, Authenticator.verificationsPerTurn) {
            guard let id = waitingForTurn.next() else { return }
            if exchanges.contains(id), exchanges[id].waiting == .turn { takeUp(id) }
        }
    }

    /// One fetch serves all who wait; the control thread says when it is over.
    mutating func awaitKeys(_ id: SlotID, of provider: SlotID, atMost limit: Duration) {
        guard let name = authenticator.name(of: provider) else { return refuse(id, .keysUnavailable) }
        exchanges[id].waiting = .keys
        exchanges[id].awaited = provider
        authenticator.wait(for: provider)
        waitingForKeys.append(id)
        counters.tally.keyWaits &+= 1
        armClient(exchanges[id].client, limit.nanoseconds)
        if !wantedKeys.contains(name) {
            wantedKeys.append(name)
            options.control.post(.keysWanted(provider: name))
        }
    }
    /// The keys of that provider were fetched, or could not be: whoever waited takes what there is.
    mutating func keysSettled(_ name: String) {
        wantedKeys.removeAll { $0 == name }
        let waiting = waitingForKeys
        waitingForKeys = []
        for id in waiting where exchanges.contains(id) && exchanges[id].waiting == .keys {
            if authenticator.name(of: exchanges[id].awaited) == name { takeUp(id) } else { waitingForKeys.append(id) }
        }
    }
    /// The client's deadline came while its request waits: true, and the request goes on with what there is.
    mutating func keysAreLate(_ id: SlotID) -> Bool {
        guard exchanges[id].waiting == .keys else { return false }
        takeUp(id)
        return true
    }

    private mutating func takeUp(_ id: SlotID) {
        let client = exchanges[id].client
        if exchanges[id].waiting == .keys { exchanges[id].hasWaited = true }
        endWaiting(id)
        input.clear()
        armClient(client, Self.farNanoseconds)
        authenticate(id, route(of: id))
        if clients.contains(client) { resumeClient(client) }
    }
    mutating func endWaiting(_ id: SlotID) {
        if exchanges[id].waiting == .keys { authenticator.stopWaiting(for: exchanges[id].awaited) }
        exchanges[id].waiting = .nothing
    }
}
