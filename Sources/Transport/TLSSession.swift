// One TLS connection over a socket that the stream owns too, so it never outlives it.
// Owns one SSL and frees it in deinit. Calls leave OpenSSL's error queue empty: another session's error must not be read.
import Bytes
import COpenSSL
import Reactor

/// What of a certificate says who somebody is.
package enum PeerName: Int32, Sendable { case alternative, common, distinguished }

/// What is known of a connection's TLS besides, by nginx's variables.
package enum TLSFact: Int32, Sendable {
    case clientSubject, clientIssuer, clientSerial, clientVerify, serverName, isReused
}

@safe package struct TLSSession: ~Copyable {
    let session: OpaquePointer
    init(owning session: OpaquePointer) { unsafe self.session = unsafe session }
    deinit { unsafe SSL_free(session) }

    /// `.bytes(0)` when done.
    borrowing func handshake() -> IOResult {
        let code = unsafe co_handshake(session)
        return code == 0 ? .bytes(0) : Self.result(code)
    }
    /// The last call had more to send than the socket takes: it goes on when there is room.
    borrowing func isSending() -> Bool { unsafe SSL_want(session) == SSL_WRITING }
    /// The client has said hello, and nothing was answered: which server it wants is to be settled first.
    borrowing func isHalted() -> Bool { unsafe co_is_halted(session) == 1 }
    /// Appends the name of that server (RFC 6066 section 3); nothing, when the client named none.
    borrowing func appendRequestedName(to out: inout ByteBuffer) {
        var name: UnsafePointer<UInt8>?
        let count = unsafe co_requested_name(session, &name)
        guard count > 0, let name = unsafe name else { return }
        let bytes = unsafe UnsafeBufferPointer(start: name, count: count)
        unsafe out.append(bytes.span)
    }
    /// Goes on under other settings.
    borrowing func adopt(_ context: borrowing TLSContext) -> Bool { unsafe context.take(session) }
    borrowing func read(into span: inout MutableSpan<UInt8>) -> IOResult {
        let session = unsafe session
        return Self.result(
            unsafe span.withUnsafeMutableBufferPointer { unsafe co_read(session, $0.baseAddress, Int32($0.count)) })
    }
    borrowing func write(_ span: Span<UInt8>) -> IOResult {
        let session = unsafe session
        return Self.result(
            unsafe span.withUnsafeBufferPointer { unsafe co_write(session, $0.baseAddress, Int32($0.count)) })
    }
    /// Sends close_notify: what came before it was all (RFC 8446 section 6.1).
    borrowing func end() { unsafe co_end(session) }
    /// Why the last handshake or call failed, for the log; empty when nothing is known.
    borrowing func verifyError() -> String {
        let code = unsafe SSL_get_verify_result(session)
        return code == 0 ? "" : unsafe String(cString: X509_verify_cert_error_string(code))
    }
    /// Appends SHA-256 of the certificate that the peer proved to have; false when it has none.
    borrowing func appendPeerDigest(to out: inout ByteBuffer) -> Bool {
        var digest = [UInt8](repeating: 0, count: 32)
        guard unsafe co_peer_digest(session, &digest) == 1 else { return false }
        out.append(digest.span)
        return true
    }
    /// Appends what that certificate calls the peer; false when it has no such name.
    borrowing func appendPeerName(_ name: PeerName, to out: inout ByteBuffer) -> Bool {
        var text = [UInt8](repeating: 0, count: 2048)
        let count = unsafe co_peer_name(session, name.rawValue, &text, text.count)
        guard count > 0 else { return false }
        out.append(text.span.extracting(0..<count))
        return true
    }
    /// Appends everything that certificate calls the peer, in records of a letter, two bytes of length and the name (see
    /// certificates.h); false when there is none, or more than fits.
    borrowing func appendPeerNames(to out: inout ByteBuffer) -> Bool {
        var records = [UInt8](repeating: 0, count: 16 * 1024)
        let count = unsafe co_peer_names(session, &records, records.count)
        guard count > 0 else { return false }
        out.append(records.span.extracting(0..<count))
        return true
    }
    /// Appends nothing where there is nothing to tell.
    borrowing func append(_ fact: TLSFact, to out: inout ByteBuffer) {
        var text = [UInt8](repeating: 0, count: 2048)
        let count = unsafe co_fact(session, fact.rawValue, &text, text.count)
        out.append(text.span.extracting(0..<count))
    }
    borrowing func carriesStreams() -> Bool { unsafe co_speaks_h2(session) == 1 }
    borrowing func protocolName() -> String { unsafe String(cString: SSL_get_version(session)) }
    borrowing func cipherName() -> String {
        guard let cipher = unsafe SSL_get_current_cipher(session) else { return "" }
        return unsafe String(cString: SSL_CIPHER_get_name(cipher))
    }
    private static func result(_ code: Int32) -> IOResult {
        code > 0 ? .bytes(Int(code)) : code == -1 || code == -2 ? .blocked : code == -3 ? .closed : .failed
    }
}
