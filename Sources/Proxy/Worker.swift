// One thread's gateway: it alone acts. The loop returns events, connections return messages, policy returns verdicts;
// here they are joined. Everything a request touches is a slot of a table that this value owns.
import Bytes
import Configuration
import Connections
import HTTP
import Policy
import Reactor
import Telemetry
import Transport

/// What a worker is made with, on its own thread.
struct WorkerOptions: Sendable {
    let index: Int
    let workers: Int
    /// Client connections it may hold.
    let connections: Int
    let inbox: Mailbox<WorkerMessage>
    let control: Mailbox<ControlMessage>
    let lookups: Mailbox<LookupMessage>
    let logs: Mailbox<LogMessage>
    /// Descriptors of UNIX sockets that were made before the worker started, by path.
    let unixSockets: [String: Int32]
}

struct Worker: ~Copyable {
    /// Attempts at upstreams for one request: a loop of failures must end.
    static var triesLimit: UInt8 { 16 }
    /// A deadline that means "none now": it is looked at, found moot and set again.
    static var farNanoseconds: UInt64 { 3_600_000_000_000 }
    /// How long a client may go on with a body that was refused.
    static var lingerNanoseconds: UInt64 { 1_000_000_000 }
    /// A TLS handshake takes four packets; one that stalls holds memory and nothing else.
    static var handshakeNanoseconds: UInt64 { 5_000_000_000 }
    /// A balancer sends the PROXY protocol with its first packet; by its specification one may be lost and sent again.
    static var sourceNanoseconds: UInt64 { 5_000_000_000 }
    /// How often a worker looks after what has no event: 1 s.
    static var upkeepNanoseconds: UInt64 { 1_000_000_000 }
    /// Accepts in one turn: others must get their turn, too.
    static var acceptsPerTurn: Int { 64 }
    /// Bytes read at once: large, so that a large body costs few calls; one buffer serves all connections.
    static var inputSize: Int { 256 * 1024 }

    let options: WorkerOptions
    var loop = EventLoop()
    var listeners: SlotTable<Transport.Listener>
    /// By the configuration's order: which slot listens, and for which address.
    var listenerSlots: [SlotID] = []
    var listenerAddresses: [ListenAddress] = []
    var tls = TLSOffers(TLSProfiles(), TicketKeys())
    /// Connections whose TLS handshake can go on, see WorkerHandshakes.swift.
    var handshakes = WaitingLine<SlotID>()
    var clients: SlotTable<ServerConnection>
    var upstreams: SlotTable<ClientConnection>
    /// Of clients whose connections carry several requests at once, see Streams.swift.
    var sessions: SlotTable<ServerSession>
    var streams: SlotTable<ServerStream>
    var streamFields = StreamFields()
    var requestText = ByteQueue()
    var exchanges: SlotTable<Exchange>
    /// Of exchanges that may last.
    var longExchanges: SlotTable<LongExchange>
    /// Of exchanges that a trusted proxy passed on.
    var sources: SlotTable<RequestSource>
    var heads: HeadPool
    /// The head that the next request is parsed into.
    var spare: SlotID
    var response = ResponseHead()
    var snapshots: SlotTable<Snapshot>
    var current = SlotID.none
    /// Counts the configurations that were installed, and the changes of the roles file.
    var serial: UInt32 = 0
    var pool = UpstreamPool()
    var secured = SecuredUpstreams()
    /// Every event of a turn may leave a head in part and an answer that waits for the turn's end.
    var buffers = BufferPool(filled: 2 * EventLoop.batch)
    /// What one connection sent: filled, used up or kept, within one step.
    var input = ByteBuffer(capacity: Worker.inputSize)
    /// Fields and values on their way into a message or a log.
    var added = ByteBuffer(capacity: 4096)
    var text = ByteBuffer(capacity: 1024)
    /// What the location's expression took of the path, and the permissions that a refusal names.
    var captured = CapturedGroups()
    var missing = ByteBuffer(capacity: 256)
    /// Of a certificate.
    var names = ByteBuffer(capacity: 256)
    var responses = LocalResponseWriter()
    var dirtyClients: [SlotID] = []
    var dirtyUpstreams: [SlotID] = []
    var resumedClients: [SlotID] = []
    var resumedUpstreams: [SlotID] = []
    /// Exchanges that wait, see Suspension.swift; and providers whose keys were asked for.
    var waitingForTurn = WaitingLine<WaitingExchange>()
    /// Until when few signatures are checked in a turn, and the cache's hits when that was last looked at.
    var sparesUntil = Instant(nanoseconds: 0)
    var hitsAtLastTurn: UInt64 = 0
    var waitingForKeys: [SlotID] = []
    var wantedKeys: [String] = []
    /// Of the keys of each provider.
    var keyVersions: [String: Int] = [:]
    var waitingForLookups: [LookupKey: [SlotID]] = [:]
    var authenticator: Authenticator
    var minted = MintedTokens()
    var requestIDs = RequestIDs()
    var counters = Counters(CounterLabels(routes: [], upstreams: [], reasons: []))
    var logLines = LogBatch()
    var countedTokens = AuthenticationCounters()
    var limiter = LogLimiter(reasons: LocalResponse.allCases.count)
    var clientCount = 0
    var sessionCount = 0
    /// Where the search for an idle client goes on.
    var evictionCursor: Int32 = 0
    var upkeep: Deadline
    var isDraining = false
    var drainsBy: Instant?
    var isDone = false

    init(_ options: WorkerOptions) {
        self.options = options
        // Twice: in a reload those that go still listen while those that come are made.
        listeners = SlotTable(capacity: 2 * GatewayConfiguration.maximumListeners)
        clients = SlotTable(capacity: options.connections)
        upstreams = SlotTable(capacity: options.connections * 2)
        sessions = SlotTable(capacity: options.connections)
        // As many as connections: whoever carries many takes room from others that do, and from nobody else.
        streams = SlotTable(capacity: options.connections)
        exchanges = SlotTable(capacity: options.connections * 2)
        longExchanges = SlotTable(capacity: options.connections * 2)
        sources = SlotTable(capacity: options.connections * 2)
        heads = HeadPool(capacity: options.connections * 2 + 1)
        snapshots = SlotTable(capacity: 1024)
        spare = heads.take()
        dirtyClients.reserveCapacity(SlotID.listReserve)
        dirtyUpstreams.reserveCapacity(SlotID.listReserve)
        resumedClients.reserveCapacity(SlotID.listReserve)
        resumedUpstreams.reserveCapacity(SlotID.listReserve)
        authenticator = Authenticator([], workers: options.workers)
        upkeep = loop.timers.add(
            Token(.task, .none), Instant(nanoseconds: loop.now.nanoseconds + Self.upkeepNanoseconds))
        loop.register(options.inbox.descriptor, Token(.mailbox, .none))
        authenticator.endVerifying()
    }

    // MARK: the loop

    mutating func run() {
        while !isDone {
            loop.wait(mayBlock: waitingForTurn.isEmpty && handshakes.isEmpty)
            while let event = loop.next() { handle(event) }
            resume()
            flush()
            if !handshakes.isEmpty {
                takeUpHandshakes()
                resume()
                flush()
            }
            if !waitingForTurn.isEmpty {
                takeUpWaiting()
                resume()
                flush()
            }
            logLines.post(to: options.logs)
        }
    }
    private mutating func handle(_ event: Event) {
        switch event {
        case .ready(.client, let id, let readiness): if clients.contains(id) { clientReady(id, readiness) }
        case .ready(.upstream, let id, let readiness): if upstreams.contains(id) { upstreamReady(id, readiness) }
        case .ready(.listener, let id, _): if listeners.contains(id) { accept(id) }
        case .ready(.mailbox, _, _): takeMessages()
        case .deadline(.client, let id): if clients.contains(id) { clientDeadline(id) }
        case .deadline(.upstream, let id): if upstreams.contains(id) { upstreamDeadline(id) }
        case .deadline(.stream, let id): if streams.contains(id) { streamDeadline(id) }
        case .deadline(.exchange, let id): if longExchanges.contains(id) { longDeadline(id) }
        case .deadline(.task, _): keepUp()
        case .ready, .deadline: break
        }
    }

    /// Connections that may go on without a new readiness: a pipelined request, a pause that is over.
    private mutating func resume() {
        var i = 0
        while i < resumedClients.count {
            let id = resumedClients[i]
            i += 1
            if clients.contains(id) {
                clients[id].isQueued = false
                readClient(id)
            }
        }
        resumedClients.removeAll(keepingCapacity: true)
        i = 0
        while i < resumedUpstreams.count {
            let id = resumedUpstreams[i]
            i += 1
            if upstreams.contains(id) {
                upstreams[id].isQueued = false
                if upstreams[id].isFramed { readShared(id) } else { readUpstream(id) }
            }
        }
        resumedUpstreams.removeAll(keepingCapacity: true)
    }
    /// Every connection that got output in this turn, once; what that wakes has its turn before the next sleep.
    private mutating func flush() {
        while !(dirtyClients.isEmpty && dirtyUpstreams.isEmpty && resumedClients.isEmpty && resumedUpstreams.isEmpty) {
            var i = 0
            while i < dirtyUpstreams.count {
                flushUpstream(dirtyUpstreams[i])
                i += 1
            }
            dirtyUpstreams.removeAll(keepingCapacity: true)
            i = 0
            while i < dirtyClients.count {
                flushClient(dirtyClients[i])
                i += 1
            }
            dirtyClients.removeAll(keepingCapacity: true)
            resume()
        }
    }
    private mutating func flushClient(_ id: SlotID) {
        guard clients.contains(id) else { return }
        clients[id].isDirty = false
        if clients[id].session != .none { return flushSession(id) }
        let result = clients[id].flush(&buffers)
        counters.tally.clientBytesSent &+= clients[id].takeSent()
        switch result {
        case .emptied:
            if clients[id].isClosing { return endClient(id) }
            resumeUpstream(of: clients[id].exchange)
        case .blocked:
            armClient(id, sendNanoseconds(id))
            if clients[id].outputCount < ConnectionLimits.refill {
                resumeUpstream(of: clients[id].exchange)
            }
        case .broken: clientGone(id)
        }
    }
    private mutating func flushUpstream(_ id: SlotID) {
        guard upstreams.contains(id) else { return }
        upstreams[id].isDirty = false
        let result = upstreams[id].flush(&buffers)
        counters.tally.upstreamBytesSent &+= upstreams[id].takeSent()
        if upstreams[id].isFramed && result != .broken { return sharedFlushed(id) }
        switch result {
        case .emptied:
            if upstreams[id].isTunnel { return tunnelDrained(id) }
            let exchange = upstreams[id].exchange
            if exchanges.contains(exchange) { resumeBody(exchange) }
        case .blocked: break
        case .broken:
            // It may have answered before it stopped listening (RFC 9112 section 9.5).
            upstreams[id].stopSending(&buffers)
            resumeUpstream(id)
        }
    }

    @inline(__always) mutating func markDirty(client id: SlotID) {
        if !clients[id].isDirty {
            clients[id].isDirty = true
            dirtyClients.append(id)
        }
    }
    @inline(__always) mutating func markDirty(upstream id: SlotID) {
        if !upstreams[id].isDirty {
            upstreams[id].isDirty = true
            dirtyUpstreams.append(id)
        }
    }
    mutating func resumeClient(_ id: SlotID) {
        if clients[id].canProceed && !clients[id].isQueued {
            clients[id].isQueued = true
            resumedClients.append(id)
        }
    }
    mutating func resumeUpstream(_ id: SlotID) {
        if upstreams[id].canProceed && !upstreams[id].isQueued {
            upstreams[id].isQueued = true
            resumedUpstreams.append(id)
        }
    }
    /// The route of an exchange, in the snapshot it began with.
    @inline(__always) mutating func route(of id: SlotID) -> Route {
        snapshots[exchanges[id].snapshot].routes[Int(exchanges[id].route)]
    }
    mutating func spent(since start: Instant) -> UInt64 { loop.now.nanoseconds &- start.nanoseconds }
}
