// Where a request goes that is given as a URL or a path: the listener by scheme and port, the target and the Host.
import Bytes
import Configuration

struct RequestPlace {
    let listener: Int
    let target: String
    let host: String

    init(_ url: String, _ configuration: GatewayConfiguration) throws(ArgumentFault) {
        guard !url.utf8.contains(where: { $0 == 0x0d || $0 == 0x0a }) else { throw ArgumentFault("a URL has one line") }
        let lower = url.lowercased()
        guard let scheme = ["http", "https"].first(where: { lower.hasPrefix($0 + "://") }) else {
            listener = 0
            target = url
            host = Self.usualHost(configuration, listener: 0)
            return
        }
        let rest = url.dropFirst(scheme.utf8.count + 3)
        let authority = rest.prefix { !"/?#".contains($0) }
        guard !authority.isEmpty else { throw ArgumentFault("\(url): the host is missing") }
        // Clients keep the fragment to themselves.
        let path = rest.dropFirst(authority.count).prefix { $0 != "#" }
        target = path.first == "/" ? String(path) : "/" + path
        host = String(authority)
        listener = try Self.listener(isTLS: scheme == "https", String(authority), configuration)
    }

    /// The one of that port; without a port in the URL the usual one, or else the first of the scheme, for gateways behind a
    /// port mapping.
    private static func listener(
        isTLS: Bool, _ authority: String, _ configuration: GatewayConfiguration
    ) throws(ArgumentFault) -> Int {
        let bracket = authority.lastIndex(of: "]") ?? authority.startIndex
        let colon = authority[bracket...].lastIndex(of: ":")
        let digits = colon.map { authority[authority.index(after: $0)...] } ?? ""
        let address = IPAddress(authority[..<(colon ?? authority.endIndex)].filter { $0 != "[" && $0 != "]" })
        let port = UInt16(digits)
        let fitting = configuration.listeners.indices.filter { configuration.listeners[$0].isTLS == isTLS }
        func has(_ index: Int, _ port: UInt16) -> Bool {
            guard case .socket(let socket) = configuration.listeners[index].address else { return false }
            return socket.port == port
        }
        let there = fitting.filter { has($0, port ?? (isTLS ? 443 : 80)) }
        let own = there.first { index in
            guard case .socket(let socket) = configuration.listeners[index].address else { return false }
            return socket.address == address
        }
        if let found = own ?? there.first ?? (digits.isEmpty ? fitting.first : nil) { return found }
        let all = configuration.listeners.map { $0.address.text + ($0.isTLS ? " ssl" : "") }.joined(separator: ", ")
        throw ArgumentFault(
            "nothing listens for \(isTLS ? "https" : "http") on port \(digits.isEmpty ? "any" : String(digits)): there are \(all)"
        )
    }

    /// The first name of the address's default server.
    private static func usualHost(_ configuration: GatewayConfiguration, listener: Int) -> String {
        let server = configuration.servers[configuration.listeners[listener].defaultServer]
        for name in server.names {
            if case .exact(let bytes) = name, !bytes.isEmpty { return String(decoding: bytes, as: UTF8.self) }
        }
        return "localhost"
    }
}
