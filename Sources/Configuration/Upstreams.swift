// Groups of endpoints to forward to.
internal import Bytes

/// A named group, or the single address of a literal `proxy_pass`.
package struct Upstream: Sendable, Equatable {
    /// Those already tried for a request are the bits of one word.
    package static let maximumEndpoints = 64

    /// As written: the group's name, or `host:port`.
    package var name: String
    package var endpoints: [Endpoint] = []
    /// `grpc://`: spoken to in HTTP/2.
    package var isFramed = false
    /// Idle connections kept by each worker for each endpoint.
    package var keepalive = 64
    package var keepaliveTimeout: Duration = .seconds(60)
    package var keepaliveRequests = 10_000
    package var position: SourcePosition

    package init(name: String, position: SourcePosition) {
        self.name = name
        self.position = position
    }

    /// The name without what tells the two ways to speak to it apart.
    package var authority: String { String(name.dropFirst(isFramed ? "grpc://".utf8.count : 0)) }
}

/// One `server` line of a group; a name with several addresses gives one endpoint for each.
package struct Endpoint: Sendable, Equatable {
    /// As written, for logs and `$upstream_addr`.
    package var name: String
    package var address: ListenAddress
    package var weight = 1
    /// Failures within `failTimeout` after which the endpoint is left out for `failTimeout`; 0: never.
    package var maxFails = 1
    package var failTimeout: Duration = .seconds(10)
    package var isDown = false

    package init(name: String, address: ListenAddress) {
        self.name = name
        self.address = address
    }
}
