// Where it is heard what was revoked, and what holds when nothing is heard.

/// `revocation NAME { … }`
package struct Revocation: Sendable, Equatable {
    /// Each is a number in every cached credential's note of when it was last checked.
    package static let maximumCount = 64

    package var name: String
    /// A service that is asked in a long poll.
    package var feed: WebAddress?
    package var clientID: String?
    package var clientSecret: String?
    package var channel: RedisChannel?
    /// Whom both are believed by; nil: by the system's authorities.
    package var authorities: TrustedAuthorities?
    /// Whether requests are refused while no source has been heard for `maxAge`.
    package var deniesWhenStale = false
    package var maxAge: Duration = .seconds(60)
    package var position: SourcePosition

    package init(name: String, position: SourcePosition) {
        self.name = name
        self.position = position
    }
    /// Somebody tells, without being an operator.
    package var hasSource: Bool { feed != nil || channel != nil }
}

/// `redis URL channel=NAME`
package struct RedisChannel: Sendable, Equatable {
    package var isTLS: Bool
    package var host: String
    package var port: UInt16
    package var user: String?
    package var password: String?
    package var database = 0
    package var channel: String

    package init(isTLS: Bool, host: String, port: UInt16, channel: String) {
        self.isTLS = isTLS
        self.host = host
        self.port = port
        self.channel = channel
    }
    /// For messages: without user and password.
    package var place: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return "\(isTLS ? "rediss" : "redis")://\(name):\(port)"
    }
}
