// What a worker's connections are offered by TLS.
import Bytes
import Connections
import Transport

/// A worker's own of each profile, made when the first connection wants it: most of many are never asked for here.
struct TLSOffers: ~Copyable {
    private let profiles: TLSProfiles
    private var tickets: TicketKeys
    private var contexts: SlotTable<TLSContext>
    /// By profile.
    private var slots: [SlotID]

    init(_ profiles: TLSProfiles, _ tickets: TicketKeys) {
        self.profiles = profiles
        self.tickets = tickets
        contexts = SlotTable(capacity: max(1, profiles.list.count))
        slots = profiles.list.map { _ in .none }
    }

    /// Of the server's profile; nil: it has none.
    private mutating func slot(of server: Int) -> SlotID? {
        guard server < profiles.ofServer.count, let profile = profiles.ofServer[server] else { return nil }
        if contexts.contains(slots[profile]) { return slots[profile] }
        let wanted = profiles.list[profile]
        guard
            let made = try? TLSContext.server(wanted.certificates, wanted.staples, wanted.terms, tickets: tickets),
            let slot = contexts.insert(made)
        else { return nil }
        slots[profile] = slot
        return slot
    }
    /// Begins a connection's TLS as that server wants it; nil: that cannot be.
    mutating func session(of server: Int, on descriptor: Int32) -> TLSSession? {
        guard let slot = slot(of: server) else { return nil }
        return contexts[slot].accept(on: descriptor)
    }
    /// A halted handshake goes on as that server wants it. False: that cannot be.
    mutating func goOn(as server: Int, _ client: inout ServerConnection) -> Bool {
        guard let slot = slot(of: server) else { return false }
        return client.adopt(contexts[slot])
    }
    /// New keys for tickets.
    mutating func use(_ tickets: TicketKeys) {
        self.tickets = tickets
        for slot in slots where contexts.contains(slot) { contexts[slot].use(tickets) }
    }
}
