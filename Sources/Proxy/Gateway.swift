// Starts a gateway: rehearses the configuration, binds its addresses, starts the workers, and becomes the control thread.
// Unsafe: unlink() reads a path within one call.
import Bytes
package import Configuration
import Glibc
import Policy
import Reactor
import Telemetry
import Transport

package enum Gateway {
    /// Why it did not start: what to print, one message each.
    package struct StartError: Error {
        package let diagnostics: [Diagnostic]
    }

    /// Descriptors that are not for connections: logs, sockets that listen, mailboxes, libraries.
    private static let reservedDescriptors = 64

    /// Runs until it is told to stop by a signal.
    package static func run(_ configuration: GatewayConfiguration, from source: ConfigurationSource) throws(StartError)
    {
        Host.ignoreBrokenPipes()
        // Before anything listens: who sees us ready may signal us at once.
        let signals = Signals()
        let rehearsal = Rehearsal(of: configuration)
        guard rehearsal.diagnostics.isEmpty else { throw StartError(diagnostics: rehearsal.diagnostics) }
        let count = max(1, configuration.process.workers ?? Host.cores)
        let limit = connections(configuration, workers: count)
        do throws(Diagnostic) {
            let reservations = try Binding.reserve(configuration.listeners)
            try writeProcessID(configuration)
            let state = try ControlPlane.stateFolder(configuration)
            let admin = try bindAdmin(configuration)
            try run(
                configuration, rehearsal.profiles, from: source, workers: count, connections: limit, reservations,
                admin, signals, state)
        } catch {
            throw StartError(diagnostics: [error])
        }
    }
    private static func run(
        _ configuration: GatewayConfiguration, _ profiles: TLSProfiles, from source: ConfigurationSource,
        workers count: Int, connections limit: Int, _ reservations: [Reservation], _ admin: consuming AdminServer,
        _ signals: consuming Signals, _ state: StateFolder?
    ) throws(Diagnostic) {
        let logs = Mailbox<LogMessage>()
        let control = Mailbox<ControlMessage>()
        let inboxes = (0..<count).map { _ in Mailbox<WorkerMessage>() }
        let lookups = Mailbox<LookupMessage>()
        LogFiles.start(logs)
        var unixSockets: [String: Int32] = [:]
        for reservation in reservations {
            if case .unix(let path) = reservation.address { unixSockets[path] = reservation.descriptor }
        }
        for i in 0..<count {
            let options = WorkerOptions(
                index: i, workers: count, connections: limit, inbox: inboxes[i], control: control, lookups: lookups,
                logs: logs,
                unixSockets: unixSockets)
            Thread.start(name: "worker \(i)") {
                Host.ownDescriptors()
                work(options)
                // Only when all that the worker owned is gone: the process may end then, and OpenSSL with it.
                control.post(.drained(worker: options.index))
            }
        }
        var plane = ControlPlane(
            source, configuration, profiles, reservations, signals: signals, inbox: control, logs: logs,
            workers: inboxes, lookups: lookups, admin: admin, state: state)
        do throws(FileFailure) {
            // What was revoked is known before anybody is listened to.
            try plane.openRevocationJournal()
        } catch {
            throw Diagnostic(
                at: SourcePosition(file: RevocationJournal.path(in: state?.path ?? ""), line: 1, column: 1),
                "the journal of revocations cannot be opened: \(error.text)")
        }
        plane.serveLookups()
        try plane.awaitFirstKeys()
        plane.install()
        announce(plane, limit: limit)
        plane.run()
        finish(logs, configuration)
        // Fetches and feeds may still run on threads of their own. Nobody waits for them, so nothing that they use is taken
        // down first: exit() would free OpenSSL under their hands.
        _exit(0)
    }
    private static func work(_ options: WorkerOptions) {
        var worker = Worker(options)
        worker.run()
    }
    private static func announce(_ plane: borrowing ControlPlane, limit: Int) {
        let wanted = plane.configuration.process.workerConnections
        if limit < wanted {
            plane.say(
                .notice,
                "worker_connections \(wanted) is more than the limit of open files allows: each worker takes \(limit)")
        }
        let addresses = plane.configuration.listeners.map(\.address.text).joined(separator: ", ")
        plane.warnOfKeyLogs()
        plane.say(.notice, "listening on \(addresses) with \(plane.workers.count) workers")
    }
    private static func finish(_ logs: Mailbox<LogMessage>, _ configuration: GatewayConfiguration) {
        let done = Mailbox<Bool>()
        logs.post(.finish(done))
        done.sleep(milliseconds: 5000)
        if let path = configuration.process.pidFile { _ = unsafe unlink(path) }
    }

    /// Client connections for each worker: each may need a second descriptor, for its upstream.
    private static func connections(_ configuration: GatewayConfiguration, workers: Int) -> Int {
        let limit = Host.raiseDescriptorLimit()
        let listeners = configuration.listeners.count * workers
        let room = (limit - reservedDescriptors - listeners - 4 * workers) / 2 / workers
        return max(8, min(configuration.process.workerConnections, room))
    }
    private static func bindAdmin(_ configuration: GatewayConfiguration) throws(Diagnostic) -> AdminServer {
        guard let admin = configuration.admin else { return AdminServer() }
        do throws(SocketError) {
            switch admin.address {
            case .socket(let address): return AdminServer(try Socket.listen(address, backlog: 64, isShared: false))
            case .unix(let path): return AdminServer(try Socket.listen(unix: path, backlog: 64))
            }
        } catch {
            throw Diagnostic(at: admin.position, "cannot listen on \(admin.address.text): \(Binding.reason(error))")
        }
    }
    private static func writeProcessID(_ configuration: GatewayConfiguration) throws(Diagnostic) {
        guard let path = configuration.process.pidFile else { return }
        _ = unsafe unlink(path)
        guard let file = LogFile(path) else {
            throw Diagnostic(
                at: SourcePosition(file: path, line: 1, column: 1), "the pid file cannot be written")
        }
        file.write(Array("\(ProcessIdentity.number)\n".utf8))
    }
}
