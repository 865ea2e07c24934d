// What a worker is told by the control thread, and what it does once a second.
import Bytes
import Configuration
import Connections
import HTTP
import JOSE
import Policy
import Reactor
import Telemetry
import Transport

extension Worker {
    mutating func takeMessages() {
        for message in options.inbox.takeAll() {
            switch message {
            case .install(let configuration, let profiles, let tickets): install(configuration, profiles, tickets)
            case .tickets(let keys): tls.use(keys)
            case .keys(let provider, let keys, let version):
                authenticator.install(keys, provider: provider)
                keyVersions[provider] = version
                keysSettled(provider, isFinal: false)
            case .localKeys(let provider, let keys, let secret):
                authenticator.install(local: keys, secret: secret, provider: provider)
                keysSettled(provider, isFinal: false)
            case .apiKeys(let provider, let file): authenticator.install(file, provider: provider)
            case .roles(let roles):
                serial &+= 1
                replace(roles)
            case .keysUnchanged(let provider, let time):
                authenticator.keysUnchanged(provider: provider, noFetchBefore: time)
                keysSettled(provider, isFinal: true)
            case .revoked(let entries): authenticator.revoke(entries, now: loop.wallSeconds)
            case .revocationsHeard(let name, let time): authenticator.heardRevocations(name, at: time)
            case .lookedUp(let key, let result): lookedUp(key, result)
            case .health(let group, let name, let peer, let isHealthy):
                setHealth(group, name, peer: peer, isHealthy: isHealthy)
            case .collect: collect()
            case .drain(let end): drain(by: end)
            }
        }
    }

    // MARK: configuration

    /// Requests that last may run in an older configuration, with the same file.
    private mutating func replace(_ roles: RolesFile) {
        for i in 0..<snapshots.capacity {
            guard let id = snapshots.occupant(i), id == current || snapshots[id].rolesPath == roles.path else {
                continue
            }
            snapshots[id].replaceRoles(roles, serial: serial)
        }
    }
    /// Cannot fail: the control thread compiled the same value before.
    private mutating func install(
        _ configuration: GatewayConfiguration, _ profiles: TLSProfiles, _ tickets: TicketKeys
    ) {
        var diagnostics: [Diagnostic] = []
        serial &+= 1
        guard var snapshot = Snapshot.compile(configuration, into: &pool, serial: serial, &diagnostics) else {
            preconditionFailure("a configuration that passed its rehearsal compiles")
        }
        if snapshots.contains(current) { snapshot.inherit(snapshots[current]) }
        let labels = snapshot.labels
        emptyQueues(notIn: configuration.listeners.map(\.address))
        guard let id = snapshots.insert(snapshot) else { return }
        let older = current
        current = id
        authenticator.update(configuration.providers, configuration.revocations)
        // Who is asked may be somebody else now.
        wantedKeys = []
        snapshots[id].plans = authenticator.plans(configuration.locations.map(\.access))
        snapshots[id].revocations = authenticator.revocationBlocks(configuration.locations)
        secured.adopt(configuration.upstreams)
        listen(configuration)
        judgePeers(since: older)
        for i in configuration.listeners.indices where listeners.contains(listenerSlots[i]) {
            listeners[listenerSlots[i]].isTLS = configuration.listeners[i].isTLS
        }
        tls = TLSOffers(profiles, tickets)
        retire(older, after: configuration.process.shutdownTimeout)
        renew(labels)
        for surplus in pool.surplus(in: &upstreams) where upstreams.contains(surplus) { closeUpstream(surplus) }
    }
    /// Who waits at an address that is about to be closed is let in first, under the configuration that still has it.
    private mutating func emptyQueues(notIn kept: [ListenAddress]) {
        for (i, address) in listenerAddresses.enumerated() where !kept.contains(address) {
            if listeners.contains(listenerSlots[i]) { accept(listenerSlots[i]) }
            beginHandshakes(listener: i)
        }
    }
    private mutating func retire(_ older: SlotID, after timeout: Duration?) {
        guard snapshots.contains(older) else { return }
        if snapshots[older].exchanges == 0 { return snapshots.destroy(older) }
        snapshots[older].endsAt = timeout.map { after($0.nanoseconds) }
    }
    /// Counters of a new generation; what the old one counted goes to the control thread first.
    private mutating func renew(_ labels: CounterLabels) {
        guard labels != counters.labels else { return }
        collect()
        counters = Counters(labels)
    }
    private mutating func collect() {
        tallyTokens()
        options.control.post(
            .counters(worker: options.index, counters.values()))
        let kept = counters.labels
        counters = Counters(kept)
    }

    /// Sockets of addresses that stay are kept with the connections that wait in them; others are closed or added.
    private mutating func listen(_ configuration: GatewayConfiguration) {
        var slots: [SlotID] = []
        for listener in configuration.listeners {
            if let known = listenerAddresses.firstIndex(of: listener.address) {
                slots.append(listenerSlots[known])
            } else {
                slots.append(open(listener, configuration.errorLog.target))
            }
        }
        for old in listenerSlots where !slots.contains(old) && listeners.contains(old) { listeners.destroy(old) }
        renumberClients(slots)
        listenerSlots = slots
        listenerAddresses = configuration.listeners.map(\.address)
    }
    private mutating func open(_ listener: Configuration.Listener, _ log: LogTarget) -> SlotID {
        do throws(SocketError) {
            let socket: Socket
            switch listener.address {
            case .socket(let address):
                socket = try Socket.listen(address, backlog: listener.backlog, isShared: true)
            case .unix(let path):
                guard let inherited = options.unixSockets[path] else { return .none }
                socket = Socket.copy(of: inherited)
            }
            guard let id = listeners.insert(Transport.Listener(socket)) else { return .none }
            loop.register(listeners[id].descriptor, Token(.listener, id))
            return id
        } catch {
            let message = "worker \(options.index) cannot listen on \(listener.address.text): \(error.text)"
            logLines.add(LogLine.make(.emergency, wallSeconds: loop.wallSeconds, message), to: log)
            return .none
        }
    }
    /// Connections name their listener by its place in the configuration: places may have changed.
    private mutating func renumberClients(_ slots: [SlotID]) {
        let moved = listenerSlots.map { old in Int32(slots.firstIndex(of: old) ?? 0) }
        if moved.indices.allSatisfy({ moved[$0] == Int32($0) }) { return }
        for i in 0..<clients.capacity {
            guard let id = clients.occupant(i) else { continue }
            clients[id].listener = moved[Int(clients[id].listener)]
        }
    }

    // MARK: once a second

    mutating func keepUp() {
        upkeep = loop.timers.renewed(upkeep, after(Self.upkeepNanoseconds))
        resumeAccepting()
        authenticator.forgetRevocations(now: loop.wallSeconds)
        endRetired()
        lookAfterSessions()
        if let end = drainsBy, loop.now >= end { closeAll() }
        if isDraining && clientCount == 0 { isDone = true }
    }
    /// What an older configuration still runs after its time is cut short.
    private mutating func endRetired() {
        for i in 0..<snapshots.capacity {
            guard let id = snapshots.occupant(i) else { continue }
            guard let end = snapshots[id].endsAt, loop.now >= end else { continue }
            for k in 0..<exchanges.capacity {
                guard let exchange = exchanges.occupant(k), exchanges[exchange].snapshot == id else { continue }
                abandon(exchange)
            }
        }
    }

    // MARK: the end

    private mutating func drain(by end: Instant?) {
        isDraining = true
        drainsBy = end
        for id in listenerSlots where listeners.contains(id) {
            accept(id)
            listeners.destroy(id)
        }
        listenerSlots = []
        listenerAddresses = []
        for i in 0..<clients.capacity {
            guard let id = clients.occupant(i) else { continue }
            if clients[id].session != .none {
                announceEnd(id)
            } else if clients[id].isIdle {
                closeClient(id)
            } else {
                clients[id].closeAfterResponse()
            }
        }
        if clientCount == 0 { isDone = true }
    }
    private mutating func closeAll() {
        for i in 0..<clients.capacity {
            // Whoever is said goodbye to has a second to hear it.
            if let id = clients.occupant(i), !endTunnels(of: id, .goingAway("restart")) { clientGone(id) }
        }
    }
    private mutating func tallyTokens() {
        let tokens = authenticator.counters
        let counted = countedTokens
        countedTokens = tokens
        counters.tally.tokenCacheHits &+= tokens.hits &- counted.hits
        counters.tally.tokenCacheNegativeHits &+= tokens.negativeHits &- counted.negativeHits
        counters.tally.tokenCacheMisses &+= tokens.misses &- counted.misses
        counters.tally.tokenCacheEvictions &+= tokens.evictions &- counted.evictions
        counters.tally.tokenCacheEntries &+= Int64(tokens.entries - counted.entries)
        counters.tally.tokenCacheBytes &+= Int64(tokens.bytes - counted.bytes)
        counters.tally.signatureVerifications &+= tokens.verifications &- counted.verifications
        counters.tally.logLinesLost &+= logLines.takeLost()
    }
}
