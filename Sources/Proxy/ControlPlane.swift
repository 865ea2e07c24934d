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
    private var profiles: TLSProfiles
    var loop = EventLoop()
    let signals: Signals
    let inbox: Mailbox<ControlMessage>
    let logs: Mailbox<LogMessage>
    let workers: [Mailbox<WorkerMessage>]
    private var tickets = TicketKeys()
    /// When another key is to seal them.
    private var ticketsEnd: Instant
    /// Addresses that are ours, so that a reload reserves only new ones.
    private var reservations: [Reservation]
    var keys: [ProviderKeys] = []
    var keyFiles = KeyFileWatch()
    /// Where state is kept; nil: nowhere. And who writes there; nil: nobody has had to.
    var state: StateFolder?
    private var stateWriter: Mailbox<StateMessage>?
    private var tick: Deadline
    /// The first requests may be over: code that only the start needed is not in memory any more.
    private var hasSettled = false
    var generation = 1
    private var alive: Int
    private var isDraining = false
    var random = SystemRandomNumberGenerator()
    var totals = CounterTotals()
    var gauges = ProcessGauges()
    var revocations = RevocationLedger()
    var admin: AdminServer
    /// What the lookup service last told; it runs once some configuration has a provider that asks.
    var lookupGauges: [LookupGauges] = []
    let lookups: Mailbox<LookupMessage>
    var health = HealthWatch()
    private(set) var asksServices = false

    init(
        _ source: ConfigurationSource, _ configuration: GatewayConfiguration,
        _ profiles: TLSProfiles, _ reservations: [Reservation], signals: consuming Signals,
        inbox: Mailbox<ControlMessage>, logs: Mailbox<LogMessage>, workers: [Mailbox<WorkerMessage>],
        lookups: Mailbox<LookupMessage>, admin: consuming AdminServer, state: StateFolder?
    ) {
        self.lookups = lookups
        self.source = source
        self.configuration = configuration
        self.profiles = profiles
        self.signals = signals
        self.inbox = inbox
        self.logs = logs
        self.workers = workers
        self.admin = admin
        self.state = state
        self.reservations = reservations
        alive = workers.count
        ticketsEnd = loop.now
        tick = loop.timers.add(Token(.task, .none), Instant(nanoseconds: loop.now.nanoseconds + Self.tickNanoseconds))
        loop.register(inbox.descriptor, Token(.mailbox, .none))
        loop.register(self.signals.descriptor, Token(.signals, .none))
        self.admin.register(with: loop)
        loop.register(keyFiles.descriptor, Token(.folders, .none))
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
                case .ready(.folders, _, _): keyFiles.noteChange(now: loop.now)
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
        expireKeys()
        rereadKeyFiles()
        keepUpRevocations()
        renewTickets()
        answerMetrics(isLate: true)
        settle()
    }
    private mutating func settle() {
        if hasSettled { return }
        hasSettled = true
        Host.trimCode()
    }
    mutating func takeMessages() {
        for message in inbox.takeAll() {
            switch message {
            case .counters(let worker, let values):
                totals.add(values)
                admin.collected(worker)
            case .lookups(let values):
                lookupGauges = values
                admin.collected(workers.count)
            case .checked(let outcome): checked(outcome)
            case .say(let severity, let text): say(severity, text)
            case .drained: alive -= 1
            case .keysWanted(let provider, let version): wantKeys(provider, version: version)
            case .revocations(let report): take(report)
            case .journalled(let number, let failure): journalled(upTo: number, failure: failure)
            case .fetched(let provider, let source, let generation, let result):
                fetched(provider, source, generation, result)
            case .notKept(let provider, let reason):
                say(.error, "keys of provider \"\(provider)\" cannot be kept in state_dir: \(reason)")
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

    /// Something is to be written to `state_dir`.
    mutating func write(_ message: StateMessage) {
        if stateWriter == nil {
            let writer = Mailbox<StateMessage>()
            StateWriter.start(writer, inbox)
            stateWriter = writer
        }
        stateWriter?.post(message)
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
        closeRevocationJournal()
        Binding.release(reservations)
        reservations = []
        for worker in workers { worker.post(.drain(by: end)) }
    }

    // MARK: reload

    /// Puts the configuration to use, with the keys that are here: no request comes in between.
    mutating func install() {
        ticketsEnd = min(ticketsEnd, endOfTickets)
        let messages = [.install(configuration, profiles, tickets)] + prepareKeys()
        for worker in workers { worker.post(messages) }
        watchHealth()
        prepareRevocations()
    }

    /// A key seals for as long as a ticket lives, so that the one before it is enough to open what is still good.
    private var endOfTickets: Instant {
        Instant(nanoseconds: loop.now.nanoseconds &+ configuration.process.sessionTimeout.nanoseconds)
    }
    private mutating func renewTickets() {
        guard loop.now >= ticketsEnd else { return }
        ticketsEnd = endOfTickets
        tickets.rotate()
        for worker in workers { worker.post(.tickets(tickets)) }
    }

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
        let rehearsal = Rehearsal(of: next)
        guard rehearsal.diagnostics.isEmpty else { return refuse(rehearsal.diagnostics) }
        if next.admin?.address != configuration.admin?.address {
            return refuse([
                Diagnostic(
                    at: next.admin?.position ?? SourcePosition(file: source.path, line: 1, column: 1),
                    "the admin address cannot change in a reload", suggestion: "restart the gateway")
            ])
        }
        do throws(Diagnostic) {
            let folder = next.process.stateFolder == state?.path ? state : try Self.stateFolder(next)
            try reserve(next)
            state = folder
        } catch {
            return refuse([error])
        }
        configuration = next
        profiles = rehearsal.profiles
        generation += 1
        gauges.configurationGeneration += 1
        gauges.reloadsSucceeded += 1
        serveLookups()
        do throws(FileFailure) {
            try openRevocationJournal()
        } catch {
            say(.error, "the journal of revocations cannot be opened: \(error.text)")
        }
        install()
        refreshKeys()
        warnOfKeyLogs()
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

    /// Once some provider has to ask, somebody is there who does.
    mutating func serveLookups() {
        guard !asksServices, configuration.providers.contains(where: { $0.lookup != nil }) else { return }
        asksServices = true
        LookupService.start(lookups, workers: workers, control: inbox)
    }
}
