// TLS settings that many sessions share: certificate, key, versions; and for clients whom to trust.
// Owns one SSL_CTX and frees it in deinit; OpenSSL counts the sessions that still use it.
import Bytes
import COpenSSL
package import Reactor

/// Why a context could not be made, and about which of its inputs.
package struct TLSError: Error, Equatable {
    package enum Subject: Equatable { case certificate, privateKey, clientAuthorities, authorities, context }
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

/// Keys that seal session tickets: the same in each worker, so that a client may resume at any of them.
package struct TicketKeys: Sendable {
    let bytes: [UInt8]
    /// From the system's generator.
    package static func random() -> TicketKeys {
        var generator = SystemRandomNumberGenerator()
        return TicketKeys(bytes: (0..<80).map { _ in generator.next() })
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
}

@safe package struct TLSContext: ~Copyable {
    let context: OpaquePointer
    private init(_ context: OpaquePointer) { unsafe self.context = unsafe context }
    deinit { unsafe SSL_CTX_free(context) }

    /// The same settings for one more listener of this worker.
    package borrowing func shared() -> TLSContext {
        unsafe SSL_CTX_up_ref(context)
        return unsafe TLSContext(context)
    }

    /// For listeners.
    package static func server(
        _ certificate: ServerCertificate, allowsTLS12: Bool, allowsTLS13: Bool, tickets: TicketKeys?,
        offersStreams: Bool = false, clients: ClientVerification? = nil
    ) throws(TLSError) -> TLSContext {
        guard let raw = unsafe SSL_CTX_new(TLS_server_method()) else { throw .last(of: .context) }
        let made = unsafe TLSContext(raw)
        unsafe try certificate.use(in: raw)
        unsafe co_server_defaults(raw, allowsTLS12 ? 1 : 0, allowsTLS13 ? 1 : 0)
        if offersStreams { unsafe co_offer_h2(raw) }
        if let tickets {
            _ = unsafe tickets.bytes.withUnsafeBytes { unsafe co_ticket_keys(raw, $0.baseAddress, $0.count) }
        }
        if let clients { try made.verify(clients) }
        return made
    }
    private borrowing func verify(_ clients: ClientVerification) throws(TLSError) {
        var identity = [UInt8](repeating: 0, count: 32)
        let taken = unsafe clients.authorities.withUnsafeBytes { bytes in
            unsafe co_sha256(bytes.baseAddress, bytes.count, &identity)
            return unsafe co_verify_clients(
                context, bytes.baseAddress, Int32(bytes.count), Int32(clients.depth), clients.isRequired ? 1 : 0,
                identity)
        }
        guard taken > 0 else {
            throw TLSError(subject: .clientAuthorities, reason: "it holds no certificates, or damaged ones")
        }
    }
    /// For fetching: verifies the server against the system's authorities (SSL_CERT_FILE and SSL_CERT_DIR as in OpenSSL), or
    /// against these alone, in PEM.
    package static func client(authorities: [UInt8]? = nil) throws(TLSError) -> TLSContext {
        guard let raw = unsafe SSL_CTX_new(TLS_client_method()) else { throw .last(of: .context) }
        let made = unsafe TLSContext(raw)
        guard unsafe co_client_defaults(raw) == 1 else { throw .last(of: .context) }
        guard let authorities else { return made }
        let taken = unsafe authorities.withUnsafeBytes { bytes in
            unsafe co_trust_only(raw, bytes.baseAddress, Int32(bytes.count))
        }
        guard taken > 0 else {
            throw TLSError(subject: .authorities, reason: "it holds no certificates, or damaged ones")
        }
        return made
    }
    package borrowing func accept(on socket: borrowing Socket) -> TLSSession? {
        guard let session = unsafe SSL_new(context) else { return nil }
        unsafe SSL_set_fd(session, socket.descriptor)
        unsafe SSL_set_accept_state(session)
        return unsafe TLSSession(owning: session)
    }
    /// `host` is what the server must prove to be: a name (also sent as SNI) or an address.
    package borrowing func connect(on socket: borrowing Socket, host: String, isAddress: Bool) -> TLSSession? {
        guard let session = unsafe SSL_new(context) else { return nil }
        let owned = unsafe TLSSession(owning: session)
        unsafe SSL_set_fd(session, socket.descriptor)
        guard unsafe co_expect_host(session, host, isAddress ? 1 : 0) == 1 else { return nil }
        unsafe SSL_set_connect_state(session)
        return owned
    }
}
