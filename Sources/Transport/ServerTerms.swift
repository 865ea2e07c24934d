// What the connections of a server are offered, and what they are asked for.

package struct ServerTerms: Sendable {
    package var allowsTLS12 = true
    package var allowsTLS13 = true
    /// Of TLS 1.2, in OpenSSL's words; those of TLS 1.3 are all good.
    package var ciphers: String
    /// In OpenSSL's words, the best one first.
    package var curves: String
    package var offersTickets = true
    /// How long a ticket may be used.
    package var ticketSeconds: Int
    /// HTTP/2, by ALPN.
    package var offersStreams = false
    /// Nil: clients are not asked for a certificate.
    package var clients: ClientVerification?
    /// Path of a file that the secrets of sessions are written to; nil: nowhere.
    package var keyLog: String?
    /// The handshake halts until the name of the server is known, see `TLSSession.isHalted`.
    package var hasOtherServers = false

    package init(ciphers: String, curves: String, ticketSeconds: Int) {
        self.ciphers = ciphers
        self.curves = curves
        self.ticketSeconds = ticketSeconds
    }
}

/// Which clients' certificates are accepted.
package struct ClientVerification: Sendable {
    /// Certificates of the authorities, in PEM.
    let authorities: [UInt8]
    /// Intermediates that a chain may have.
    let depth: Int
    /// False: a client may come without one.
    let isRequired: Bool

    package init(authorities: [UInt8], depth: Int, isRequired: Bool) {
        self.authorities = authorities
        self.depth = depth
        self.isRequired = isRequired
    }

    /// Equal for those alone that accept the same.
    var identity: [UInt8] { [isRequired ? 1 : 0, UInt8(clamping: depth)] + authorities }
}
