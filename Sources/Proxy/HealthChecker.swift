// Asks endpoints at intervals whether they can serve, on a thread of its own that never blocks. Workers hear only of changes.
import Bytes
import Configuration
import Connections
import HTTP
import Policy
import Reactor
import Transport

/// One endpoint of a group, and how it is asked.
struct HealthTarget: Sendable, Equatable {
    /// Place and name of the group, and the endpoint's place in it.
    let group: Int
    let upstream: String
    let peer: Int
    let name: String
    let address: ListenAddress
    /// For Host.
    let authority: String
    let tls: UpstreamTLS?
    /// Spoken to in HTTP/2, as calls of gRPC always are.
    let isFramed: Bool
    let check: HealthCheck
}

/// What came of one check.
struct HealthOutcome: Sendable {
    let target: HealthTarget
    /// Nil: it passed.
    let failure: String?
    let isHealthy: Bool
    /// It was the other way round before.
    let isChange: Bool
}

enum HealthCommand: Sendable {
    /// From now on these are asked, and no others.
    case watch([HealthTarget])
}

struct HealthChecker: ~Copyable {
    struct Watched {
        let target: HealthTarget
        var record: HealthRecord
        /// Of the check that runs.
        var connection = SlotID.none
        var deadline: Deadline?
        var status = 0
        var headStatus: [UInt8]?
        var body: [UInt8] = []
    }
    static var targetLimit: Int { 4096 }
    /// Bytes of an answer's body that are looked at, of the few that one in gRPC has.
    static var bodyLimit: Int { 1024 }

    let inbox: Mailbox<HealthCommand>
    let workers: [Mailbox<WorkerMessage>]
    let control: Mailbox<ControlMessage>
    var loop = EventLoop()
    var watched = SlotTable<Watched>(capacity: HealthChecker.targetLimit)
    var connections = SlotTable<ClientConnection>(capacity: HealthChecker.targetLimit)
    var secured = SecuredUpstreams()
    var buffers = BufferPool()
    var input = ByteBuffer(capacity: 64 * 1024)
    var response = ResponseHead()
    var fields = StreamFields()
    private var random = SystemRandomNumberGenerator()

    static func start(
        _ inbox: Mailbox<HealthCommand>, workers: [Mailbox<WorkerMessage>], control: Mailbox<ControlMessage>
    ) {
        Thread.start(name: "health checks") {
            var checker = HealthChecker(inbox, workers: workers, control: control)
            checker.run()
        }
    }
    private init(
        _ inbox: Mailbox<HealthCommand>, workers: [Mailbox<WorkerMessage>], control: Mailbox<ControlMessage>
    ) {
        self.inbox = inbox
        self.workers = workers
        self.control = control
        loop.register(inbox.descriptor, Token(.mailbox, .none))
    }

    /// As long as the process lives.
    private mutating func run() {
        while true {
            loop.wait()
            while let event = loop.next() {
                switch event {
                case .ready(.mailbox, _, _):
                    for case .watch(let targets) in inbox.takeAll() { watch(targets) }
                case .ready(.upstream, let id, let readiness): if connections.contains(id) { ready(id, readiness) }
                case .deadline(.client, let id): if watched.contains(id) { due(id) }
                case .ready, .deadline: break
                }
            }
        }
    }

    /// Endpoints that stay keep what is known of them.
    private mutating func watch(_ targets: [HealthTarget]) {
        // Settings of TLS that are not named any more go with those that are, which are made anew.
        secured = SecuredUpstreams()
        var known: [HealthTarget] = []
        for i in 0..<watched.capacity {
            guard let id = watched.occupant(i) else { continue }
            if targets.contains(watched[id].target) {
                known.append(watched[id].target)
                // The workers may have begun with new balancers.
                if !watched[id].record.isHealthy { tellWorkers(watched[id].target, isHealthy: false) }
            } else {
                drop(watched[id].connection)
                if let deadline = watched[id].deadline { loop.timers.remove(deadline) }
                watched.destroy(id)
            }
        }
        for target in targets where !known.contains(target) {
            let record = HealthRecord(fails: target.check.fails, passes: target.check.passes)
            guard let id = watched.insert(Watched(target: target, record: record)) else { return }
            watched[id].deadline = loop.timers.add(Token(.client, id), loop.now)
        }
    }

    // MARK: time

    private mutating func due(_ id: SlotID) {
        guard let deadline = watched[id].deadline else { return }
        if deadline.at > loop.now {
            watched[id].deadline = loop.timers.renewed(deadline, deadline.at)
        } else if watched[id].connection != .none {
            ended(id, "timed out")
        } else {
            begin(id)
        }
    }
    private mutating func arm(_ id: SlotID, _ nanoseconds: UInt64) {
        guard let deadline = watched[id].deadline else { return }
        watched[id].deadline = loop.timers.renewed(
            deadline, Instant(nanoseconds: loop.now.nanoseconds &+ nanoseconds))
    }

    /// A check is over, and the next one waits for its time.
    mutating func ended(_ id: SlotID, _ failure: String?) {
        drop(watched[id].connection)
        watched[id].connection = .none
        let target = watched[id].target
        let isChange = watched[id].record.note(passed: failure == nil)
        let isHealthy = watched[id].record.isHealthy
        if isChange { tellWorkers(target, isHealthy: isHealthy) }
        control.post(
            .checked(HealthOutcome(target: target, failure: failure, isHealthy: isHealthy, isChange: isChange)))
        let jitter = target.check.jitter.nanoseconds
        arm(id, target.check.interval.nanoseconds &+ (jitter > 0 ? UInt64.random(in: 0...jitter, using: &random) : 0))
    }
    private func tellWorkers(_ target: HealthTarget, isHealthy: Bool) {
        for worker in workers {
            worker.post(.health(group: target.group, target.upstream, peer: target.peer, isHealthy: isHealthy))
        }
    }
    private mutating func drop(_ id: SlotID) {
        guard connections.contains(id) else { return }
        connections[id].release(&buffers)
        connections.destroy(id)
    }

    // MARK: connections

    private mutating func begin(_ id: SlotID) {
        let target = watched[id].target
        (watched[id].status, watched[id].headStatus, watched[id].body) = (0, nil, [])
        do throws(SocketError) {
            let socket: Socket
            switch target.address {
            case .socket(let address): socket = try Socket.connect(address)
            case .unix(let path): socket = try Socket.connect(unix: path)
            }
            guard let stream = stream(socket, target),
                let connection = connections.insert(
                    ClientConnection(connecting: stream, endpoint: 0, isFramed: target.isFramed))
            else { return ended(id, "no connection can be made") }
            connections[connection].exchange = id
            watched[id].connection = connection
            loop.register(connections[connection].descriptor, Token(.upstream, connection))
            arm(id, target.check.timeout.nanoseconds)
            ask(target, over: connection)
        } catch {
            ended(id, error.text)
        }
    }
    private mutating func stream(_ socket: consuming Socket, _ target: HealthTarget) -> Stream? {
        guard let tls = target.tls else { return Stream(socket) }
        guard let session = secured.connect(on: socket, tls, isFramed: target.isFramed, resuming: nil) else {
            return nil
        }
        return Stream(socket, tls: session)
    }
    private mutating func ready(_ id: SlotID, _ readiness: Readiness) {
        let target = connections[id].exchange
        guard connections[id].note(readiness) else { return ended(target, failureToConnect(id)) }
        if connections[id].isConnecting { return }
        if case .tcp = watched[target].target.check.kind { return ended(target, nil) }
        advance(id, target)
    }
    private mutating func failureToConnect(_ id: SlotID) -> String {
        connections[id].handshakeFailure().map { "TLS: \($0.reason)" } ?? "it cannot be connected to"
    }
}
