// TLS towards servers that requests go to: whom to believe, what to show, what to speak; and sessions that go on.
// Owns nothing: settings belong to their TLSContext, connections to their TLSSession, sessions to the object below.
import COpenSSL
package import Reactor

/// What all connections to some servers have in common.
package struct UpstreamSecurity: Sendable {
    /// What the certificate must be issued for.
    package var name: String
    package var isAddress: Bool
    package var sendsName: Bool
    package var isVerified: Bool
    /// In PEM; nil: the system's.
    package var authorities: [UInt8]?
    /// Our own certificate and its key, in PEM.
    package var certificate: [UInt8]?
    package var privateKey: [UInt8]?
    package var allowsTLS12: Bool
    package var allowsTLS13: Bool
    /// HTTP/2 is spoken, and nothing else.
    package var isFramed: Bool

    package init(
        name: String, isAddress: Bool, sendsName: Bool, isVerified: Bool, authorities: [UInt8]?, certificate: [UInt8]?,
        privateKey: [UInt8]?, allowsTLS12: Bool, allowsTLS13: Bool, isFramed: Bool
    ) {
        self.name = name
        self.isAddress = isAddress
        self.sendsName = sendsName
        self.isVerified = isVerified
        self.authorities = authorities
        self.certificate = certificate
        self.privateKey = privateKey
        self.allowsTLS12 = allowsTLS12
        self.allowsTLS13 = allowsTLS13
        self.isFramed = isFramed
    }
}

/// Why there is no connection although somebody listens.
package struct HandshakeFailure: Sendable {
    /// The certificate is none that is believed.
    package let isUntrusted: Bool
    /// In the words of OpenSSL.
    package let reason: String
}

/// What a server and the gateway agreed on, for later connections of this worker. Freed with the last that knows it.
@safe package final class ResumableSession {
    let session: OpaquePointer
    init(owning session: OpaquePointer) { unsafe self.session = unsafe session }
    deinit { unsafe SSL_SESSION_free(session) }
}

extension TLSContext {
    package static func towards(_ upstream: UpstreamSecurity) throws(TLSError) -> TLSContext {
        let made = try client(authorities: upstream.authorities)
        unsafe co_upstream_defaults(
            made.context, upstream.isVerified ? 1 : 0, upstream.allowsTLS12 ? 1 : 0, upstream.allowsTLS13 ? 1 : 0,
            upstream.isFramed ? 1 : 0)
        if let certificate = upstream.certificate, let key = upstream.privateKey {
            unsafe try ServerCertificate.reading(certificate: certificate, privateKey: key).use(in: made.context, nil)
        }
        return made
    }
    package borrowing func connect(
        on socket: borrowing Socket, to upstream: UpstreamSecurity, resuming known: ResumableSession?
    ) -> TLSSession? {
        let session = connect(
            on: socket, host: upstream.name, isAddress: upstream.isAddress, isVerified: upstream.isVerified,
            sendsName: upstream.sendsName)
        if let known { session?.resume(known) }
        return session
    }
}

extension TLSSession {
    borrowing func handshakeFailure() -> HandshakeFailure? {
        var text = [CChar](repeating: 0, count: 160)
        let code = unsafe co_handshake_failure(session, &text, text.count)
        guard code >= 0 else { return nil }
        let reason = unsafe text.withUnsafeBufferPointer { unsafe String(cString: $0.baseAddress!) }
        return HandshakeFailure(isUntrusted: code == 1, reason: reason)
    }
    fileprivate borrowing func resume(_ known: ResumableSession) { unsafe SSL_set_session(session, known.session) }
    borrowing func resumable() -> ResumableSession? {
        guard let taken = unsafe co_take_session(session) else { return nil }
        return unsafe ResumableSession(owning: taken)
    }
    borrowing func wasResumed() -> Bool { unsafe SSL_session_reused(session) == 1 }
}
