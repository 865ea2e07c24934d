// Asks services about credentials for all workers, on a thread of its own that never blocks: connections that are kept, one
// question for each credential, bounds on how many run, wait and how long, and rest for a service that fails.
import Bytes
import Configuration
import Connections
import HTTP
import Policy
import Reactor
import Telemetry
import Transport

enum LookupMessage: Sendable {
    case ask(LookupRequest)
    /// Asks for the gauges.
    case collect
}

/// One question that runs or waits for a connection.
struct Lookup: Sendable {
    let request: LookupRequest
    let endpoint: SlotID
    let began: Instant
    var deadline: Deadline?
    var connection = SlotID.none
    /// Addresses that were tried in vain.
    var failedAddresses = 0
    /// A kept connection was dead: the next attempt takes a new one.
    var wantsFreshConnection = false
    var answer = LookupAnswer(status: 0)
}

/// One service, as a provider's configuration names it.
struct LookupEndpoint: ~Copyable {
    let target: LookupTarget
    var breaker = CircuitBreaker()
    var idle: [SlotID] = []
    var connections = 0
    /// Questions that wait for a connection, the oldest first.
    var waiting: [SlotID] = []
    var running = 0
    /// Which of the addresses answered last.
    var address = 0
    var usedAt: Instant
    /// With authorities of its own; made for the first connection.
    var tls: TLSContext?

    init(target: LookupTarget, usedAt: Instant) {
        self.target = target
        self.usedAt = usedAt
    }
}

struct LookupService: ~Copyable {
    /// Connections to one service: more at once would be an attack on it.
    static var connectionLimit: Int { 64 }
    /// Questions that wait for one service, and that there are at all.
    static var waitingLimit: Int { 1024 }
    static var lookupLimit: Int { 8192 }
    /// Services at one time, those of earlier configurations included.
    static var endpointLimit: Int { 1024 }
    /// Bytes of an answer's body: hundreds of claims fit.
    static var bodyLimit: Int { 64 * 1024 }
    /// A server that takes longer to accept is down, and another address may be up.
    static var connectNanoseconds: UInt64 { 2_000_000_000 }
    /// How long a connection waits for the next question.
    static var idleNanoseconds: UInt64 { 30_000_000_000 }
    /// How long an answer is kept for workers that ask a moment later, if the provider caches at all.
    static var memoryNanoseconds: UInt64 { 2_000_000_000 }
    /// A service that no provider asked for so long is forgotten.
    static var forgottenNanoseconds: UInt64 { 120_000_000_000 }

    let inbox: Mailbox<LookupMessage>
    let workers: [Mailbox<WorkerMessage>]
    let control: Mailbox<ControlMessage>
    var loop = EventLoop()
    var connections = SlotTable<ClientConnection>(capacity: 16384)
    var lookups = SlotTable<Lookup>(capacity: LookupService.lookupLimit)
    var endpoints = SlotTable<LookupEndpoint>(capacity: LookupService.endpointLimit)
    var table = LookupTable()
    var gauges: [LookupGauges] = []
    var buffers = BufferPool()
    var input = ByteBuffer(capacity: 64 * 1024)
    var response = ResponseHead()
    /// For services that the system's authorities vouch for. Made when the first one wants TLS: reading those takes a while.
    var tls: TLSContext?
    private var upkeep: Deadline

    static func start(
        _ inbox: Mailbox<LookupMessage>, workers: [Mailbox<WorkerMessage>], control: Mailbox<ControlMessage>
    ) {
        Thread.start(name: "lookups") {
            var service = LookupService(inbox, workers: workers, control: control)
            service.run()
        }
    }
    private init(
        _ inbox: Mailbox<LookupMessage>, workers: [Mailbox<WorkerMessage>], control: Mailbox<ControlMessage>
    ) {
        self.inbox = inbox
        self.workers = workers
        self.control = control
        upkeep = loop.timers.add(Token(.task, .none), Instant(nanoseconds: loop.now.nanoseconds + 10_000_000_000))
        loop.register(inbox.descriptor, Token(.mailbox, .none))
    }

    /// As long as the process lives.
    private mutating func run() {
        while true {
            loop.wait()
            while let event = loop.next() {
                switch event {
                case .ready(.mailbox, _, _): takeMessages()
                case .ready(.upstream, let id, let readiness): ready(id, readiness)
                case .deadline(.upstream, let id): connectionLate(id)
                case .deadline(.client, let id): lookupLate(id)
                case .deadline(.task, _): keepUp()
                case .ready, .deadline: break
                }
            }
        }
    }
    private mutating func takeMessages() {
        for message in inbox.takeAll() {
            switch message {
            case .ask(let request): ask(request)
            case .collect: control.post(.lookups(currentGauges()))
            }
        }
    }
    private mutating func keepUp() {
        upkeep = loop.timers.renewed(upkeep, Instant(nanoseconds: loop.now.nanoseconds + 10_000_000_000))
        table.forget(loop.now)
        for i in 0..<endpoints.capacity {
            guard let id = endpoints.occupant(i) else { continue }
            let rests = loop.now.nanoseconds &- endpoints[id].usedAt.nanoseconds
            guard rests > Self.forgottenNanoseconds, endpoints[id].running == 0 else { continue }
            for connection in endpoints[id].idle { discard(connection) }
            endpoints.destroy(id)
        }
    }

    // MARK: questions

    private mutating func ask(_ request: LookupRequest) {
        switch table.ask(request.key, worker: request.worker, now: loop.now, isAnew: request.isAnew) {
        case .known(let result):
            count(request.target.provider) { $0.shared += 1 }
            tell([request.worker], request.key, result)
        case .joined: count(request.target.provider) { $0.shared += 1 }
        case .begin:
            count(request.target.provider) { $0.lookups += 1 }
            begin(request)
        }
    }
    private mutating func begin(_ request: LookupRequest) {
        guard let endpoint = endpoint(for: request.target) else { return refuse(request, .overloaded) }
        endpoints[endpoint].usedAt = loop.now
        guard endpoints[endpoint].waiting.count < Self.waitingLimit, lookups.hasRoom else {
            return refuse(request, .overloaded)
        }
        guard endpoints[endpoint].breaker.admits(now: loop.now) else {
            return refuse(request, .resting(seconds: endpoints[endpoint].breaker.retryAfterSeconds(now: loop.now)))
        }
        guard let id = lookups.insert(Lookup(request: request, endpoint: endpoint, began: loop.now)) else { return }
        lookups[id].deadline = loop.timers.add(Token(.client, id), after(request.target.timeout.nanoseconds))
        endpoints[endpoint].running += 1
        dispatch(id)
    }
    private mutating func refuse(_ request: LookupRequest, _ failure: LookupFailure) {
        count(request.target.provider) { $0.count(failure) }
        let result = LookupResult.failed(failure)
        tell(table.finished(request.key, result, keptFor: 0, now: loop.now), request.key, result)
    }
    private func tell(_ indices: [Int], _ key: LookupKey, _ result: LookupResult) {
        for index in indices where workers.indices.contains(index) { workers[index].post(.lookedUp(key, result)) }
    }
    private mutating func endpoint(for target: LookupTarget) -> SlotID? {
        for i in 0..<endpoints.capacity {
            guard let id = endpoints.occupant(i) else { continue }
            if endpoints[id].target == target { return id }
        }
        return endpoints.insert(LookupEndpoint(target: target, usedAt: loop.now))
    }

    // MARK: outcomes

    mutating func answered(_ id: SlotID) {
        var answer = lookups[id].answer
        answer.wallSeconds = loop.wallSeconds
        guard answer.isUsable(lookups[id].request.target.kind) else { return failed(id, .invalid) }
        endpoints[lookups[id].endpoint].breaker.succeeded()
        let spent = loop.now.nanoseconds &- lookups[id].began.nanoseconds
        count(lookups[id].request.target.provider) { $0.answered(after: spent) }
        let kept = lookups[id].request.isShared ? Self.memoryNanoseconds : 0
        finish(id, .answered(answer), keptFor: kept)
    }
    mutating func failed(_ id: SlotID, _ failure: LookupFailure) {
        let endpoint = lookups[id].endpoint
        let provider = endpoints[endpoint].target.provider
        count(provider) { $0.count(failure) }
        if endpoints[endpoint].breaker.failed(now: loop.now) {
            control.post(
                .say(
                    .error,
                    "provider \"\(provider)\": \(CircuitBreaker.threshold) questions in a row came to nothing "
                        + "(\(failure.words)), so its service rests"))
        }
        finish(id, .failed(failure), keptFor: 0)
    }
    private mutating func finish(_ id: SlotID, _ result: LookupResult, keptFor nanoseconds: UInt64) {
        let key = lookups[id].request.key, endpoint = lookups[id].endpoint
        if let deadline = lookups[id].deadline { loop.timers.remove(deadline) }
        release(lookups[id].connection)
        endpoints[endpoint].waiting.removeAll { $0 == id }
        endpoints[endpoint].running -= 1
        lookups.destroy(id)
        tell(table.finished(key, result, keptFor: nanoseconds, now: loop.now), key, result)
        takeUpWaiting(endpoint)
    }
    private mutating func lookupLate(_ id: SlotID) {
        guard lookups.contains(id), var deadline = lookups[id].deadline else { return }
        if deadline.at <= loop.now { return failed(id, .timedOut) }
        loop.timers.schedule(&deadline)
        lookups[id].deadline = deadline
    }
    func after(_ nanoseconds: UInt64) -> Instant { Instant(nanoseconds: loop.now.nanoseconds &+ nanoseconds) }

    // MARK: numbers

    private mutating func count(_ provider: String, _ change: (inout LookupGauges) -> Void) {
        guard let i = gauges.firstIndex(where: { $0.provider == provider }) else {
            var fresh = LookupGauges(provider: provider)
            change(&fresh)
            return gauges.append(fresh)
        }
        change(&gauges[i])
    }
    private func currentGauges() -> [LookupGauges] {
        var all = gauges
        for i in all.indices {
            all[i].running = 0
            all[i].rests = false
            for slot in 0..<endpoints.capacity {
                guard let id = endpoints.occupant(slot), endpoints[id].target.provider == all[i].provider else {
                    continue
                }
                all[i].running += endpoints[id].running
                if endpoints[id].breaker.state != .closed { all[i].rests = true }
            }
        }
        return all
    }
}

extension LookupGauges {
    fileprivate mutating func count(_ failure: LookupFailure) { failures[failure.label, default: 0] += 1 }
}

extension LookupFailure {
    /// As the metric has it.
    var label: String {
        switch self {
        case .unreachable: "unreachable"
        case .timedOut: "timeout"
        case .invalid: "invalid"
        case .overloaded: "overloaded"
        case .resting: "resting"
        }
    }
    var words: String {
        switch self {
        case .unreachable: "it cannot be reached"
        case .timedOut: "it took too long"
        case .invalid: "its answers say nothing"
        case .overloaded: "too many wait"
        case .resting: "it rests"
        }
    }
}
