// Which location a request belongs to, or why its path is refused.
package import Bytes
package import HTTP

/// What the route table says of a request.
package enum RouteVerdict: Equatable, Sendable {
    /// `index` into `GatewayConfiguration.locations`: a server's fallback when no location matches. `matchedPrefix`: bytes
    /// of the path to forward that a prefix or an exact location covers, for `proxy_pass` with a URI; else 0.
    case route(Int, matchedPrefix: Int)
    /// `pathInvalid` or `pathAmbiguous`; `route` is the location in whose name it is answered and logged.
    case refused(LocalResponse, route: Int)
}

/// Servers by host and locations by path, compiled by each worker for itself. A plain path costs one walk down a tree.
package struct RouteTable: ~Copyable {
    struct ServerPaths: BitwiseCopyable {
        var fallback: Int32
        /// All locations have one access: no reading of a path can lead to another.
        var isUniform: Bool
        /// Some location has upper-case letters or escapes: even a plain path may be another spelling of it.
        var hasSpellings: Bool
    }

    private let names: ServerNames
    private let locations: LocationTree
    private let servers: FixedArray<ServerPaths>
    /// By location: `path_guard on`.
    private let guarded: FixedArray<Bool>
    private var pathGuard: PathGuard
    private let captures: CaptureTable
    private var patterns: SlotTable<Pattern>

    init(
        names: consuming ServerNames, locations: consuming LocationTree, servers: [ServerPaths], guarded: [Bool],
        pathGuard: consuming PathGuard, captures: consuming CaptureTable, patterns: consuming SlotTable<Pattern>
    ) {
        self.names = names
        self.locations = locations
        self.servers = FixedArray(servers)
        self.guarded = FixedArray(guarded)
        self.pathGuard = pathGuard
        self.captures = captures
        self.patterns = patterns
    }

    /// Chooses the server by the listener and the request's host, and the location by its path.
    package mutating func match(_ head: borrowing RequestHead, listener: Int) -> RouteVerdict {
        match(head.target, in: head.bytes, host: head.hostName, listener: listener)
    }

    /// The same for a target alone; it and the host are ranges of `bytes`.
    package mutating func match(
        _ target: borrowing RequestTarget, in bytes: Span<UInt8>, host: Range<Int>, listener: Int
    ) -> RouteVerdict {
        let server = names.server(for: bytes.extracting(host), listener: listener, &patterns)
        let paths = servers[server]
        guard !target.isPathInvalid else { return .refused(.pathInvalid, route: Int(paths.fallback)) }
        let path = target.matchingPath(in: bytes)
        let found = locations.find(path, scope: server, &patterns)
        guard found.location != LocationTree.Match.undecided else {
            return .refused(.pathAmbiguous, route: Int(paths.fallback))
        }
        let location = Int(found.location >= 0 ? found.location : paths.fallback)
        if (!target.isPlain || paths.hasSpellings) && !paths.isUniform && guarded[location] {
            guard
                pathGuard.accepts(
                    path, scope: server, location: location, fallback: Int(paths.fallback), captures, &patterns)
            else { return .refused(.pathAmbiguous, route: location) }
        }
        return .route(location, matchedPrefix: target.forwardedPrefix(ofMatching: found.count))
    }

    /// The server that answers for a host on a listener: TLS asks before there is a request.
    package mutating func server(for host: borrowing ByteBuffer, listener: Int) -> Int {
        names.server(for: host.bytes, listener: listener, &patterns)
    }

    /// What the access rules of that location, which the request was found to belong to, look at in its path.
    package mutating func capture(_ head: borrowing RequestHead, location: Int, into groups: inout CapturedGroups) {
        capture(head.target, in: head.bytes, location: location, into: &groups)
    }
    private mutating func capture(
        _ target: borrowing RequestTarget, in bytes: Span<UInt8>, location: Int, into groups: inout CapturedGroups
    ) {
        let path = target.matchingPath(in: bytes)
        // It matched before; where a limit was reached in the meantime, empty captures equal nothing.
        if !captures.take(path, location, caseless: false, &patterns, into: &groups) { groups.clear() }
    }
}
