// The meaning of a configuration file: an immutable tree of values, all inheritance done, every name turned into an
// index,
// carrying the bytes of every file it names, so that workers read no files and cannot fail after the rehearsal.

/// A complete, validated configuration. Shared between threads as a value; each worker compiles its own copy.
package struct GatewayConfiguration: Sendable, Equatable {
    /// Addresses to listen on: each is a slot and a socket of every worker.
    package static let maximumListeners = 256

    package var process = ProcessSettings()
    package var errorLog = ErrorLog()
    package var admin: AdminEndpoint?
    package var providers: [AuthProvider] = []
    /// `policy`, by name; locations carry their own copy of what one requires.
    package var policies: [AccessPolicy] = []
    /// `roles_file`: what each role of a token grants here.
    package var roles: RolesFile?
    package var revocations: [Revocation] = []
    /// Named groups first, then one group for each literal address in a `proxy_pass`.
    package var upstreams: [Upstream] = []
    /// How many of them are named groups.
    package var namedUpstreams = 0
    /// Distinct addresses to listen on; servers refer to them by index.
    package var listeners: [Listener] = []
    package var servers: [Server] = []
    /// Every location of every server, nested ones too, and each server's own fallback; a route is an index into this.
    package var locations: [Location] = []
    /// `log_format` by name, the built-in one first; locations carry their own copy.
    package var logFormats = [NamedFormat.main]
    /// What of a credential's claims is kept beside subject and permissions.
    package var keptClaims = KeptClaims()
    /// What a print-out must not show.
    package var concealed = ConcealedArguments()
    /// Where each directive was said.
    package var places = StatementPlaces()

    package init() {}
}

/// Where something was said: for diagnostics, and for answers that name the line that demanded something.
package struct SourcePosition: Sendable, Equatable, Hashable {
    package var file: String
    /// Both count from 1; columns count characters.
    package var line: Int
    package var column: Int

    package init(file: String, line: Int, column: Int) {
        self.file = file
        self.line = line
        self.column = column
    }

    /// `gateway.conf:41:13`
    package var text: String { "\(file):\(line):\(column)" }

    /// Always true: where a value was said does not change what it means. So a reload after an inserted comment finds
    /// providers, pools and caches unchanged, and a print-out read again equals what it was printed from.
    package static func == (a: SourcePosition, b: SourcePosition) -> Bool { true }
    package func hash(into hasher: inout Hasher) {}
}

/// What concerns the process as a whole.
package struct ProcessSettings: Sendable, Equatable {
    /// Nil: one worker for each core (`auto`).
    package var workers: Int?
    /// Client connections of one worker.
    package var workerConnections = 20_000
    /// How long old connections may finish on reload and stop; nil: for ever.
    package var shutdownTimeout: Duration? = .seconds(30)
    package var pidFile: String?
    /// Where is kept what must outlive the process; nil: nowhere.
    package var stateFolder: String?
    /// How long a ticket resumes a session, and its key seals others.
    package var sessionTimeout = Duration.seconds(3600)

    package init() {}

    static let rows: [Directive<MainSettings>] = [
        // 1024: more threads than any machine has cores are a slip of the finger.
        .setting(
            "worker_processes", in: [.main], Codec.count(1...1024).or("auto"), \.process.workers,
            "Event loops, one thread each; auto: one for each core"),
        // A million connections of one worker is past every descriptor limit in use.
        .setting(
            "worker_connections", in: [.main], .count(16...1_000_000), \.process.workerConnections,
            "Client connections of one worker; past it accepting pauses and idle connections go first"),
        .setting(
            "worker_shutdown_timeout", in: [.main], .endlessTime(.zero ... .seconds(86_400)), \.process.shutdownTimeout,
            "How long old connections may finish on reload and stop; 0: for ever"),
        Directive(
            row: DirectiveRow(
                name: "pid", blocks: [.main], form: "PATH", arity: 1...1,
                summary: "File that holds the process "
                    + "number"),
            read: { statement, main, reader throws(Diagnostic) in
                main.process.pidFile = try reader.path(statement.arguments[0])
            },
            write: { main in main.process.pidFile.map { [WrittenLine([Syntax.quoted($0)])] } ?? [] }),
        Directive(
            row: DirectiveRow(
                name: "state_dir", blocks: [.main], form: "PATH", arity: 1...1,
                summary:
                    "Folder for what outlives the process, such as the last good keys of each source; made and closed "
                    + "to others by the gateway"),
            read: { statement, main, reader throws(Diagnostic) in
                main.process.stateFolder = try reader.path(statement.arguments[0])
            },
            write: { main in main.process.stateFolder.map { [WrittenLine([Syntax.quoted($0)])] } ?? [] }),
        // A day: whoever got hold of a key could read what its sessions said in TLS 1.2.
        .setting(
            "ssl_session_timeout", in: [.main], .time(.seconds(1) ... .seconds(86_400)), \.process.sessionTimeout,
            "How long a ticket resumes a session; its key is replaced as often, and kept once more as long"),
    ]
}
