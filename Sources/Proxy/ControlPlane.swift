// The main thread: signals, reloads, keys, metrics and the end. It decides what the workers run and never touches a
// request; values travel to them and back through mailboxes.
import Bytes
import Configuration
import JOSE
import Policy
import Reactor
import Telemetry
import Transport

/// Reads the configuration again; made by whoever knows the file's name and the environment.
package struct ConfigurationSource: Sendable {
    package let path: String
    package let environment: [String: String]

    package init(path: String, environment: [String: String]) {
        self.path = path
        self.environment = environment
    }
}

struct ControlPlane: ~Copyable {
    private static var tickNanoseconds: UInt64 { 200_000_000 }
    /// A worker that does not answer within this is left out of a page of metrics.
    static var collectNanoseconds: UInt64 { 1_000_000_000 }

    let source: ConfigurationSource
    var configuration: GatewayConfiguration
    var loop = EventLoop()
    let signals: Signals
    let inbox: Mailbox<ControlMessage>
    let logs: Mailbox<LogMessage>
    let workers: [Mailbox<WorkerMessage>]
    let tickets = TicketKeys.random()
    /// Addresses that are ours, so that a reload reserves only new ones.
    private var reservations: [Reservation]
    private var refreshers: [KeySetRefresher] = []
    private var tick: Deadline
    private var generation = 1
    private var alive: Int
    private var isDraining = false
    private var random = SystemRandomNumberGenerator()
    var totals = CounterTotals()
    var gauges = ProcessGauges()
    var admin: AdminServer
    /// What the lookup service last told; it runs once some configuration has a provider that asks.
    var lookupGauges: [LookupGauges] = []
    private(set) var asksServices = false

    init(
        _ source: ConfigurationSource, _ configuration: GatewayConfiguration, _ reservations: [Reservation],
        signals: consuming Signals,
        inbox: Mailbox<ControlMessage>, logs: Mailbox<LogMessage>, workers: [Mailbox<WorkerMessage>],
        admin: consuming AdminServer
    ) {
        self.source = source
        self.configuration = configuration
        self.signals = signals
        self.inbox = inbox
        self.logs = logs
        self.workers = workers
        self.admin = admin
        self.reservations = reservations
        alive = workers.count
        tick = loop.timers.add(Token(.task, .none), Instant(nanoseconds: loop.now.nanoseconds + Self.tickNanoseconds))
        loop.register(inbox.descriptor, Token(.mailbox, .none))
        loop.register(self.signals.descriptor, Token(.signals, .none))
        self.admin.register(with: loop)
        gauges.workers = workers.count
        gauges.startWallSeconds = loop.wallSeconds
        gauges.configurationGeneration = 1
    }

    /// Until every worker is done.
    mutating func run() {
        refreshKeys()
        while alive > 0 {
            loop.wait()
            while let event = loop.next() {
                switch event {
                case .ready(.mailbox, _, _): takeMessages()
                case .ready(.signals, _, _): takeSignals()
                case .ready(.listener, _, _): admin.accept(&loop)
                case .ready(.client, let id, let readiness): adminReady(id, readiness)
                case .deadline(.client, let id): admin.late(id, &loop)
                case .deadline(.task, _): keepUp()
                case .ready, .deadline: break
                }
            }
        }
        say(.notice, "every worker is done")
    }
    private mutating func keepUp() {
        tick = loop.timers.renewed(tick, Instant(nanoseconds: loop.now.nanoseconds + Self.tickNanoseconds))
        refreshKeys()
        for i in refreshers.indices { tell(refreshers[i].expire(now: loop.now), of: refreshers[i].provider) }
        answerMetrics(isLate: true)
    }
    private mutating func takeMessages() {
        for message in inbox.takeAll() {
            switch message {
            case .counters(let worker, let values):
                totals.add(values)
                admin.collected(worker)
            case .lookups(let values):
                lookupGauges = values
                admin.collected(workers.count)
            case .say(let severity, let text): say(severity, text)
            case .drained: alive -= 1
            case .keysWanted(let provider): wantKeys(provider)
            case .fetched(let provider, let generation, let result): fetched(provider, generation, result)
            }
        }
        answerMetrics(isLate: false)
    }

    /// A line in the error log.
    func say(_ severity: LogSeverity, _ message: String) {
        guard severity.rawValue <= configuration.errorLog.level.rawValue else { return }
        logs.post(
            .lines(
                configuration.errorLog.target, LogLine.make(severity, wallSeconds: loop.wallSeconds, message)))
    }

    // MARK: signals

    private mutating func takeSignals() {
        while let signal = signals.next() {
            switch signal {
            case .terminate, .quit: stop()
            case .reload: reload()
            case .reopenLogs: logs.post(.reopen)
            }
        }
    }
    /// Asked once, the workers finish what they have; asked twice, they end at once.
    private mutating func stop() {
        let timeout = configuration.process.shutdownTimeout
        let end = isDraining ? loop.now : timeout.map { Instant(nanoseconds: loop.now.nanoseconds + $0.nanoseconds) }
        say(.notice, isDraining ? "ending at once" : "draining")
        isDraining = true
        Binding.release(reservations)
        reservations = []
        for worker in workers { worker.post(.drain(by: end)) }
    }

    // MARK: reload

    /// All or nothing: what cannot be read, compiled or bound leaves everything as it was.
    private mutating func reload() {
        guard !isDraining else { return }
        switch GatewayConfiguration.load(path: source.path, environment: source.environment) {
        case .unreadable(let reason):
            refuse([Diagnostic(at: SourcePosition(file: source.path, line: 1, column: 1), reason)])
        case .invalid(let diagnostics): refuse(diagnostics)
        case .loaded(let next, _): adopt(next)
        }
    }
    private mutating func adopt(_ next: GatewayConfiguration) {
        let diagnostics = Rehearsal.diagnostics(of: next)
        guard diagnostics.isEmpty else { return refuse(diagnostics) }
        if next.admin?.address != configuration.admin?.address {
            return refuse([
                Diagnostic(
                    at: next.admin?.position ?? SourcePosition(file: source.path, line: 1, column: 1),
                    "the admin address cannot change in a reload", suggestion: "restart the gateway")
            ])
        }
        do throws(Diagnostic) {
            try reserve(next)
        } catch {
            return refuse([error])
        }
        configuration = next
        generation += 1
        gauges.configurationGeneration += 1
        gauges.reloadsSucceeded += 1
        for worker in workers { worker.post(.install(next, tickets)) }
        prepareKeys()
        refreshKeys()
        say(.notice, "configuration reloaded, generation \(gauges.configurationGeneration)")
    }
    private mutating func reserve(_ next: GatewayConfiguration) throws(Diagnostic) {
        let wanted = next.listeners.map(\.address)
        let fresh = next.listeners.filter { listener in !reservations.contains { $0.address == listener.address } }
        if let listener = fresh.first(where: { $0.address.isUNIX }) {
            throw Diagnostic(
                at: listener.position, "a UNIX socket cannot be added in a reload", suggestion: "restart the gateway")
        }
        let added = try Binding.reserve(fresh)
        Binding.release(reservations.filter { !wanted.contains($0.address) })
        reservations = reservations.filter { wanted.contains($0.address) } + added
    }
    private mutating func refuse(_ diagnostics: [Diagnostic]) {
        gauges.reloadsFailed += 1
        for diagnostic in diagnostics {
            logs.post(.lines(configuration.errorLog.target, Array("\(diagnostic.locatingSource().rendered)\n".utf8)))
        }
        say(.error, "the configuration was not reloaded: \(source.path) has errors; the old one stays in force")
    }

    // MARK: keys

    /// One refresher for each provider with a source; those whose source is the same go on where they were.
    mutating func prepareKeys() {
        let older = refreshers
        refreshers = configuration.providers.compactMap { provider in
            guard let source = provider.keySource else { return nil }
            var refresher = KeySetRefresher(provider, source, generation: generation, now: loop.now)
            if let known = older.first(where: { $0.provider == provider.name }) { refresher.inherit(known) }
            return refresher
        }
        for refresher in refreshers {
            guard let keys = refresher.fetched else { continue }
            for worker in workers { worker.post(.keys(provider: refresher.provider, keys)) }
        }
    }
    private mutating func refreshKeys() {
        for i in refreshers.indices where refreshers[i].begin(now: loop.now) {
            KeyFetch.start(
                refreshers[i].source, provider: refreshers[i].provider, generation: refreshers[i].generation, inbox)
        }
    }
    /// Once for all workers: whoever asks while a fetch runs hears of its end, too.
    private mutating func wantKeys(_ provider: String) {
        guard let i = refreshers.firstIndex(where: { $0.provider == provider }) else { return }
        if let end = refreshers[i].want(now: loop.now) { return settleKeys(provider, noFetchBefore: end) }
        refreshKeys()
    }
    private func settleKeys(_ provider: String, noFetchBefore end: Instant) {
        for worker in workers { worker.post(.keysUnchanged(provider: provider, noFetchBefore: end)) }
    }
    private mutating func fetched(_ provider: String, _ generation: Int, _ result: KeyFetchResult) {
        guard let i = refreshers.firstIndex(where: { $0.provider == provider && $0.generation == generation })
        else { return }
        switch result {
        case .failed(let reason):
            say(.warning, "keys of provider \"\(provider)\" from \(refreshers[i].source.url): \(reason)")
        case .keys(let set):
            for reason in set.skipped where refreshers[i].fetched?.skipped != set.skipped {
                say(.warning, "a key of provider \"\(provider)\" is left out: \(reason)")
            }
        }
        let verdict = refreshers[i].finished(
            result, now: loop.now, wallSeconds: loop.wallSeconds, random: random.next())
        tell(verdict, of: provider)
        if let end = refreshers[i].noFetchBefore { settleKeys(provider, noFetchBefore: end) }
    }
    private func tell(_ verdict: KeySetRefresher.Verdict, of provider: String) {
        switch verdict {
        case .nothing: break
        case .install(let keys):
            say(.notice, "provider \"\(provider)\" has \(keys.keys.count) keys")
            for worker in workers { worker.post(.keys(provider: provider, keys)) }
        case .withdraw:
            say(.error, "provider \"\(provider)\" has no keys any more")
            for worker in workers { worker.post(.keys(provider: provider, nil)) }
        }
    }
    var keyGauges: [KeySetGauges] {
        configuration.providers.map { provider in
            if let refresher = refreshers.first(where: { $0.provider == provider.name }) { return refresher.gauges }
            var gauges = KeySetGauges(provider: provider.name)
            gauges.keys = provider.ownKeys.keys.count
            return gauges
        }
    }
}
