// Route tables from short descriptions, and verdicts as text.
import Bytes
import Configuration
import HTTP
import Policy
import Testing

/// A location as its line would be in the file, with the name of who has access.
struct LocationLine: Sendable {
    /// `/prefix`, `^~ /prefix`, `= /path`, `~ expression`, `~* expression`.
    var text: String
    /// `public` or the name of a permission.
    var access: String
    var pathGuard = true
    var nested: [LocationLine] = []

    init(_ text: String, _ access: String = "public", pathGuard: Bool = true, nested: [LocationLine] = []) {
        self.text = text
        self.access = access
        self.pathGuard = pathGuard
        self.nested = nested
    }

    var match: LocationMatch {
        let words = text.split(separator: " ", maxSplits: 1).map(String.init)
        guard words.count == 2 else { return .prefix(Array(text.utf8), stopsPatterns: false) }
        switch words[0] {
        case "=": return .exact(Array(words[1].utf8))
        case "^~": return .prefix(Array(words[1].utf8), stopsPatterns: true)
        default: return .pattern(words[1], isCaseSensitive: words[0] == "~")
        }
    }
}

/// A configuration under construction: listener 0 is there, and more if servers ask for them.
struct RouteFixture {
    private(set) var configuration = GatewayConfiguration()
    private var line = 0

    private mutating func position() -> SourcePosition {
        line += 1
        return SourcePosition(file: "gateway.conf", line: line, column: 1)
    }

    /// One server without a name.
    init(_ locations: [LocationLine], fallback: String = "public") {
        server([], fallback: fallback, locations)
    }

    init() {}

    mutating func server(
        _ names: [ServerName], listeners: [Int] = [0], fallback: String = "public", _ locations: [LocationLine] = []
    ) {
        let index = configuration.servers.count
        while configuration.listeners.count <= listeners.max()! {
            let address = ListenAddress.unix("/\(configuration.listeners.count)")
            configuration.listeners.append(Listener(address: address, defaultServer: index, position: position()))
        }
        var server = Server(fallback: configuration.locations.count, position: position())
        server.names = names
        server.listeners = listeners
        let name = index == 0 ? "fallback" : "server \(index)"
        add(LocationLine(name, fallback), .fallback, server: index)
        configuration.servers.append(server)
        configuration.servers[index].locations = locations.map { add($0, $0.match, server: index) }
    }

    @discardableResult
    private mutating func add(_ line: LocationLine, _ match: LocationMatch, server: Int) -> Int {
        let index = configuration.locations.count
        var location = Location(match: match, server: server, name: line.text, position: position())
        if line.access != "public" {
            location.access.providers = [0]
            location.access.requirements = [.permission(line.access)]
        }
        location.pathGuard = line.pathGuard
        configuration.locations.append(location)
        configuration.locations[index].children = line.nested.map { add($0, $0.match, server: server) }
        return index
    }

    /// The table; the configuration must be right.
    func table() throws -> Routes {
        var diagnostics: [Diagnostic] = []
        guard let table = RouteTable.compile(configuration, &diagnostics) else {
            throw diagnostics.first ?? Diagnostic(at: configuration.locations[0].position, "no table")
        }
        return Routes(table: table, configuration: configuration)
    }

    func diagnostics() -> [String] {
        var diagnostics: [Diagnostic] = []
        _ = RouteTable.compile(configuration, &diagnostics)
        return diagnostics.map { "\($0.position.line): \($0.message)" }
    }
}

/// A table that answers in words: the text of a location, or the code of the refusal.
struct Routes: ~Copyable {
    var table: RouteTable
    let configuration: GatewayConfiguration

    mutating func verdict(_ path: String, host: String = "a", listener: Int = 0) -> RouteVerdict? {
        let bytes = Array((path + " HTTP/1.1\r\nHost: " + host).utf8)
        var target = RequestTarget()
        guard target.parse(bytes.span, 0..<path.utf8.count, method: .get) else { return nil }
        let hostRange = bytes.count - host.utf8.count..<bytes.count
        return table.match(target, in: bytes.span, host: hostRange, listener: listener)
    }

    mutating func callAsFunction(_ path: String, host: String = "a", listener: Int = 0) -> String {
        switch verdict(path, host: host, listener: listener) {
        case .route(let index, _): configuration.locations[index].name
        case .refused(let response, _): "\(response.code)"
        case nil: "malformed"
        }
    }

    mutating func prefix(_ path: String) -> Int? {
        guard case .route(_, let count) = verdict(path) else { return nil }
        return count
    }
}

/// Seeded; the seed is in every message of a failure.
struct SeededRandom: RandomNumberGenerator {
    let seed: UInt64
    private var state: UInt64

    init(seed: UInt64) {
        self.seed = seed
        state = seed
    }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = (state ^ (state >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
    mutating func below(_ n: Int) -> Int { Int.random(in: 0..<n, using: &self) }
    mutating func pick<T>(_ items: [T]) -> T { items[Int.random(in: 0..<items.count, using: &self)] }
}
