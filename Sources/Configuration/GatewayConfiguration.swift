// The meaning of a configuration file: an immutable tree of values, all inheritance done, every name turned into an index,
// carrying the bytes of every file it names, so that workers read no files and cannot fail after the rehearsal.

/// A complete, validated configuration. Shared between threads as a value; each worker compiles its own copy.
package struct GatewayConfiguration: Sendable, Equatable {
    package var process = ProcessSettings()
    package var errorLog = ErrorLog()
    package var admin: AdminEndpoint?
    package var providers: [AuthProvider] = []
    /// Named groups first, then one group for each literal address in a `proxy_pass`.
    package var upstreams: [Upstream] = []
    /// Distinct addresses to listen on; servers refer to them by index.
    package var listeners: [Listener] = []
    package var servers: [Server] = []
    /// Every location of every server, nested ones too, and each server's own fallback; a route is an index into this.
    package var locations: [Location] = []

    package init() {}
}

/// Where something was said: for diagnostics, and for answers that name the line that demanded something.
package struct SourcePosition: Sendable, Equatable, Comparable {
    package var file: String
    /// Both count from 1; columns count characters.
    package var line: Int
    package var column: Int

    package init(file: String, line: Int, column: Int) {
        self.file = file
        self.line = line
        self.column = column
    }
    package static func < (a: SourcePosition, b: SourcePosition) -> Bool {
        (a.file, a.line, a.column) < (b.file, b.line, b.column)
    }
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

    package init() {}
}

/// Metrics and health for operators, on an address of their own.
package struct AdminEndpoint: Sendable, Equatable {
    package var address: ListenAddress
    package var position: SourcePosition

    package init(address: ListenAddress, position: SourcePosition) {
        self.address = address
        self.position = position
    }
}
