// TLS settings that many sessions share: certificate, key, versions; and for clients whom to trust.
// Owns one SSL_CTX and frees it in deinit; OpenSSL counts the sessions that still use it.
import Bytes
import COpenSSL
package import Reactor

/// Why a context could not be made, and about which of its inputs.
package struct TLSError: Error, Equatable {
    package enum Subject: Equatable {
        case certificate, privateKey, clientAuthorities, authorities, ciphers, curves, keyLog, context
    }
    package let subject: Subject
    /// In words, without secrets.
    package let reason: String

    package init(subject: Subject, reason: String) {
        self.subject = subject
        self.reason = reason
    }

    /// What OpenSSL has just said on this thread.
    static func last(of subject: Subject) -> TLSError {
        var text = [CChar](repeating: 0, count: 160)
        unsafe co_last_error(&text, text.count)
        return TLSError(
            subject: subject,
            reason: unsafe text.withUnsafeBufferPointer { unsafe String(cString: $0.baseAddress!) })
    }
}

@safe package struct TLSContext: ~Copyable {
    let context: OpaquePointer
    private init(_ context: OpaquePointer) { unsafe self.context = unsafe context }
    deinit { unsafe SSL_CTX_free(context) }

    /// For listeners. The staple of a certificate stands at the same place, where it has one.
    package static func server(
        _ certificates: [ServerCertificate], _ staples: [Staple?], _ terms: ServerTerms, tickets: TicketKeys?
    ) throws(TLSError) -> TLSContext {
        let raw = unsafe try made(TLS_server_method())
        let made = unsafe TLSContext(raw)
        let code = unsafe co_server_defaults(
            raw, listeningSlot, terms.allowsTLS12 ? 1 : 0, terms.allowsTLS13 ? 1 : 0, terms.ciphers, terms.curves)
        guard code == 1 else { throw .last(of: code == -1 ? .ciphers : code == -2 ? .curves : .context) }
        if let unfit = unsafe co_unfit_cipher(raw) {
            throw TLSError(
                subject: .ciphers,
                reason: unsafe "\(String(cString: unfit)) has no forward secrecy or no authenticated encryption")
        }
        var identity: [UInt8] = []
        for (i, certificate) in certificates.enumerated() {
            unsafe try certificate.use(in: raw, staples[i])
            certificate.appendIdentity(to: &identity)
        }
        if terms.offersStreams { unsafe co_offer_h2(raw) }
        if terms.hasOtherServers { unsafe co_halt_for_name(raw) }
        unsafe SSL_CTX_set_timeout(raw, terms.ticketSeconds)
        if !terms.offersTickets { unsafe co_use_no_tickets(raw) }
        if let tickets { made.use(tickets) }
        if let clients = terms.clients {
            try made.verify(clients)
            identity += clients.identity
        }
        guard unsafe co_tell_apart(raw, identity, identity.count) == 1 else { throw .last(of: .context) }
        if let keyLog = terms.keyLog { try made.logKeys(to: keyLog) }
        return made
    }
    private static func made(_ method: OpaquePointer?) throws(TLSError) -> OpaquePointer {
        _ = derivesSecrets
        guard let raw = unsafe SSL_CTX_new_ex(nil, CO_PREFERS_OURS, method) else { throw .last(of: .context) }
        return unsafe raw
    }
    /// Whether the secrets of TLS 1.3 are derived by our own provider; where they are not, OpenSSL does it.
    static let derivesSecrets = co_provide_derivation() == 1
    /// What every SSL_CTX owns beside OpenSSL's own settings lies under this number.
    private static let listeningSlot = co_listening_slot()

    /// Of a listener: these seal and open tickets from now on.
    package borrowing func use(_ tickets: TicketKeys) {
        unsafe co_set_ticket_keys(context, tickets.bytes, tickets.bytes.count)
    }
    private borrowing func verify(_ clients: ClientVerification) throws(TLSError) {
        let taken = unsafe clients.authorities.withUnsafeBytes { bytes in
            unsafe co_verify_clients(
                context, bytes.baseAddress, Int32(bytes.count), Int32(clients.depth), clients.isRequired ? 1 : 0)
        }
        guard taken > 0 else {
            throw TLSError(subject: .clientAuthorities, reason: "it holds no certificates, or damaged ones")
        }
    }
    private borrowing func logKeys(to path: String) throws(TLSError) {
        let descriptor = unsafe co_open_key_log(path)
        guard descriptor >= 0 else {
            throw TLSError(subject: .keyLog, reason: unsafe String(cString: strerror(-descriptor)))
        }
        unsafe co_log_keys(context, descriptor)
    }
    /// For fetching: verifies the server against the system's authorities (SSL_CERT_FILE and SSL_CERT_DIR as in OpenSSL), or
    /// against these alone, in PEM.
    package static func client(authorities: [UInt8]? = nil) throws(TLSError) -> TLSContext {
        let raw = unsafe try made(TLS_client_method())
        let made = unsafe TLSContext(raw)
        unsafe co_client_defaults(raw)
        guard let authorities else {
            guard unsafe SSL_CTX_set_default_verify_paths(raw) == 1 else { throw .last(of: .context) }
            return made
        }
        let taken = unsafe authorities.withUnsafeBytes { bytes in
            unsafe co_add_authorities(raw, bytes.baseAddress, Int32(bytes.count), 0)
        }
        guard taken > 0 else {
            throw TLSError(subject: .authorities, reason: "it holds no certificates, or damaged ones")
        }
        return made
    }
    /// For the socket of that descriptor, which must outlive the session.
    package borrowing func accept(on descriptor: Int32) -> TLSSession? {
        guard let session = unsafe SSL_new(context) else { return nil }
        unsafe SSL_set_fd(session, descriptor)
        unsafe SSL_set_accept_state(session)
        return unsafe TLSSession(owning: session)
    }
    /// A halted handshake goes on under these settings.
    borrowing func take(_ session: OpaquePointer) -> Bool { unsafe co_adopt(session, context) == 1 }
    /// `host` is what the server must prove to be: a name (unless said otherwise also sent as SNI) or an address.
    package borrowing func connect(
        on socket: borrowing Socket, host: String, isAddress: Bool, isVerified: Bool = true, sendsName: Bool = true
    ) -> TLSSession? {
        guard let session = unsafe SSL_new(context) else { return nil }
        let owned = unsafe TLSSession(owning: session)
        unsafe SSL_set_fd(session, socket.descriptor)
        let isSet = unsafe co_expect_server(session, host, isAddress ? 1 : 0, isVerified ? 1 : 0, sendsName ? 1 : 0)
        guard isSet == 1 else { return nil }
        unsafe SSL_set_connect_state(session)
        return owned
    }
}
