// Services that are asked about credentials, one question each: where they are and how long they may take.
package import Bytes

/// `url URL` of a provider, with all that is needed to ask there.
package struct LookupTarget: Sendable, Equatable {
    /// What the service speaks.
    package enum Kind: Sendable {
        /// RFC 7662: a token by POST, a JSON object back.
        case introspection
        /// nginx's `auth_request`: the status alone decides.
        case request
    }

    package var provider: String
    package var kind: Kind
    package var url: String
    package var isTLS: Bool
    package var host: String
    package var port: UInt16
    /// Path and query.
    package var path: String
    /// What the host's name meant when the configuration was read.
    package var addresses: [SocketAddress]
    /// For a whole question, waiting for a free connection included.
    package var timeout: Duration = .seconds(5)
    /// Names of fields of the answer that are wanted, in lower case.
    package var fields: [String] = []

    package init(
        provider: String, kind: Kind, url: String, isTLS: Bool, host: String, port: UInt16, path: String,
        addresses: [SocketAddress]
    ) {
        self.provider = provider
        self.kind = kind
        self.url = url
        self.isTLS = isTLS
        self.host = host
        self.port = port
        self.path = path
        self.addresses = addresses
    }

    /// The value of the Host field: without the port that the scheme implies.
    package var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (isTLS ? 443 : 80) ? name : "\(name):\(port)"
    }
}

/// Where a credential may stand in a request.
package enum CredentialPlace: Sendable, Equatable, Hashable {
    /// `Authorization: Bearer …`
    case bearer
    /// The value of a field of that name.
    case field([UInt8])
    case cookie([UInt8])
    /// An argument of the query.
    case query([UInt8])

    package enum Kind: UInt8, Sendable, BitwiseCopyable { case bearer, field, cookie, query }
}
