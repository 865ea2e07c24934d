// Where Redis is: redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE], with rediss:// for TLS; as the gateway spells it.

struct RedisAddress: Sendable, CustomStringConvertible {
    private static let defaultPort = 6379
    /// More databases than any server is configured with.
    private static let databases = 0...16_383

    let isTLS: Bool
    let host: String
    let port: Int
    let database: Int
    /// Nil: the user "default".
    let user: String?
    /// Nil: none, or it stands in a file.
    let password: String?

    /// For log lines: without the password.
    var description: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return "\(isTLS ? "rediss" : "redis")://\(name):\(port)/\(database)"
    }

    /// Nil when the text is no such address.
    init?(_ text: String) {
        guard let scheme = ["rediss://", "redis://"].first(where: text.hasPrefix) else { return nil }
        isTLS = scheme == "rediss://"
        let rest = text.dropFirst(scheme.count)
        // A password may hold an at sign, and a slash.
        let mark = rest.lastIndex(of: "@")
        let place = mark.map { rest[rest.index(after: $0)...] } ?? rest
        let authority = place.prefix { $0 != "/" }
        guard let (host, port) = Self.hostAndPort(authority) else { return nil }
        self.host = host
        self.port = port
        let path = place.dropFirst(authority.count).dropFirst()
        guard let database = path.isEmpty ? 0 : Int(path), Self.databases ~= database else { return nil }
        self.database = database
        guard let mark else {
            user = nil
            password = nil
            return
        }
        let credentials = rest[..<mark]
        let colon = credentials.firstIndex(of: ":")
        let name = colon.map { credentials[..<$0] } ?? credentials
        user = name.isEmpty ? nil : String(name)
        password = colon.map { String(credentials[credentials.index(after: $0)...]) }
    }

    private static func hostAndPort(_ text: Substring) -> (host: String, port: Int)? {
        if let place = ListenAddress(String(text)) { return place.port > 0 ? (place.host, place.port) : nil }
        // Without a port, and an address of IPv6 in brackets.
        guard let place = ListenAddress("\(text):\(defaultPort)") else { return nil }
        return (place.host, place.port)
    }
}
