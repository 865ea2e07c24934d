// Groups of endpoints to forward to.
internal import Bytes

/// A named group, or the single address of a literal `proxy_pass`.
package struct Upstream: Sendable, Equatable {
    /// Those already tried for a request are the bits of one word.
    package static let maximumEndpoints = 64

    /// As written: the group's name, or `host:port`.
    package var name: String
    package var endpoints: [Endpoint] = []
    /// Host and port or name of the group, as `proxy_pass` says it.
    package var authority: String
    /// Spoken to in HTTP/2.
    package var isFramed = false
    /// Nil: in clear text.
    package var tls: UpstreamTLS?
    /// Idle connections kept by each worker for each endpoint.
    package var keepalive = 64
    package var keepaliveTimeout: Duration = .seconds(60)
    package var keepaliveRequests = 10_000
    /// Nil: only requests tell which endpoints serve.
    package var healthCheck: HealthCheck?
    package var position: SourcePosition

    package init(name: String, position: SourcePosition) {
        self.name = name
        authority = name
        self.position = position
    }
}

/// How `proxy_pass` spells the way to an upstream.
package enum UpstreamScheme: String, Sendable, CaseIterable {
    case http, https, grpc, grpcs

    package var isTLS: Bool { self == .https || self == .grpcs }
    /// Calls of gRPC need HTTP/2.
    var isCall: Bool { self == .grpc || self == .grpcs }
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
