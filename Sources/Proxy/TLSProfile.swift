// The different TLS settings of a configuration, and which server has which. Made by the rehearsal, shared by the workers.
import Configuration
import Transport

/// Settings between which clients see no difference, for however many servers and listeners.
struct TLSProfile: Sendable {
    let certificates: [ServerCertificate]
    /// Of the certificate at the same place.
    let staples: [Staple?]
    let terms: ServerTerms
}

struct TLSProfiles: Sendable {
    var list: [TLSProfile] = []
    /// By server; nil: it has no TLS.
    var ofServer: [Int?] = []
}

extension ServerTerms {
    /// OpenSSL's words for what is offered where `ssl_ciphers` says nothing: forward secrecy and authenticated encryption.
    private static let usualCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20"

    init(_ tls: TLSSettings, _ process: ProcessSettings, streams: Int, hasOtherServers: Bool) {
        let curves = tls.curves.isEmpty ? NamedCurve.usual : tls.curves
        self.init(
            ciphers: tls.ciphers?.text ?? Self.usualCiphers, curves: curves.map(\.rawValue).joined(separator: ":"),
            ticketSeconds: Int(process.sessionTimeout.components.seconds))
        allowsTLS12 = tls.allowsTLS12
        allowsTLS13 = tls.allowsTLS13
        offersTickets = tls.offersTickets
        offersStreams = streams > 0
        keyLog = tls.keyLog?.file
        self.hasOtherServers = hasOtherServers
        clients = tls.clients.map {
            ClientVerification(authorities: $0.authorities, depth: $0.depth, isRequired: $0.isRequired)
        }
    }
}
