// Addresses to listen on, the servers behind them and their names and certificates.
package import Bytes

/// An address to bind.
package enum ListenAddress: Sendable, Equatable, Hashable {
    case socket(SocketAddress)
    /// Path of a UNIX-domain socket.
    case unix(String)
}

/// One bound address. Which server answers is decided by the request's host among those that name this listener.
package struct Listener: Sendable, Equatable {
    package var address: ListenAddress
    package var isTLS = false
    /// Connections begin with the PROXY protocol; other peers than these are turned away. From its default server.
    package var takesProxyProtocol = false
    package var trusted = TrustedProxies()
    package var backlog = 4096
    /// Streams of HTTP/2 that a connection may carry at once: from its default server. 0: HTTP/1 only.
    package var streams = 0
    /// The server that answers when no name matches, and whose limits hold before a host is known.
    package var defaultServer: Int
    package var position: SourcePosition

    package init(address: ListenAddress, defaultServer: Int, position: SourcePosition) {
        self.address = address
        self.defaultServer = defaultServer
        self.position = position
    }
}

/// A `server { }`: names, and the locations below it.
package struct Server: Sendable, Equatable {
    package var names: [ServerName] = []
    /// Indices of listeners.
    package var listeners: [Int] = []
    /// The location that holds this server's own settings, for requests that no location matches.
    package var fallback: Int
    /// On listeners with TLS; nil: it has none.
    package var tls: TLSSettings?
    /// Top-level locations, in the order of the file.
    package var locations: [Int] = []
    package var position: SourcePosition

    package init(fallback: Int, position: SourcePosition) {
        self.fallback = fallback
        self.position = position
    }
}

/// A `server_name`, lower case (nginx's kinds, in nginx's order of preference).
package enum ServerName: Sendable, Equatable {
    case exact([UInt8])
    /// `*.example.com` is kept as `.example.com`; `alsoBare` for nginx's `.example.com`, which matches `example.com`
    /// too.
    case suffix([UInt8], alsoBare: Bool)
    /// `www.example.*` is kept as `www.example.`
    case prefix([UInt8])
    /// `~pattern`, a PCRE2 regular expression.
    case pattern(String, SourcePosition)
}
