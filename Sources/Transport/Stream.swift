// A connected socket, plain or TLS. Closing is the end of its life: deinit frees the session, then the socket.
package import Bytes
package import Reactor

package struct Stream: ~Copyable {
    private var session: TLSSession?
    package let socket: Socket
    package let isPlain: Bool
    package private(set) var isAwaitingTLS = false

    package init(_ socket: consuming Socket, tls session: consuming TLSSession? = nil) {
        self.socket = socket
        isPlain = session == nil
        self.session = session
    }
    /// A client's, whose TLS begins when there is something to read: who never says a word costs a descriptor.
    package init(awaitingTLS socket: consuming Socket) {
        self.socket = socket
        isPlain = false
        isAwaitingTLS = true
        session = nil
    }

    package mutating func begin(_ session: consuming TLSSession) {
        self.session = consume session
        isAwaitingTLS = false
    }
    /// The handshake halts: which server the client wants is to be settled.
    package borrowing func isHalted() -> Bool { session?.isHalted() ?? false }
    package borrowing func appendRequestedName(to out: inout ByteBuffer) { session?.appendRequestedName(to: &out) }
    package borrowing func adopt(_ context: borrowing TLSContext) -> Bool { session?.adopt(context) ?? false }

    /// `.bytes(0)` when done; at once on a plain stream.
    package borrowing func handshake() -> IOResult {
        session?.handshake() ?? (isPlain ? .bytes(0) : .failed)
    }
    /// Its handshake goes on when the socket takes more.
    package borrowing func isSending() -> Bool { session?.isSending() ?? false }
    package borrowing func read(into span: inout MutableSpan<UInt8>) -> IOResult {
        if isPlain { return socket.receive(into: &span) }
        return session?.read(into: &span) ?? .failed
    }
    package borrowing func write(_ span: Span<UInt8>) -> IOResult {
        if isPlain { return socket.send(span) }
        return session?.write(span) ?? .failed
    }
    /// Says goodbye in order: what was written is all there is. Reading goes on.
    package borrowing func endOutput() {
        session?.end()
        socket.shutdownWrite()
    }
    /// Says goodbye as the last thing that is done: without it, OpenSSL lets nobody go on with the session.
    package borrowing func sayGoodbye() { session?.end() }
    /// Why the handshake failed.
    package borrowing func handshakeFailure() -> HandshakeFailure? { session?.handshakeFailure() }
    /// The session, if another connection to the same server may go on with it.
    package borrowing func resumable() -> ResumableSession? { session?.resumable() }
    /// An earlier session went on.
    package borrowing func wasResumed() -> Bool { session?.wasResumed() ?? false }
    /// Of the certificate that the peer proved to have; false, and nothing appended, when there is none.
    package borrowing func appendPeerDigest(to out: inout ByteBuffer) -> Bool {
        session?.appendPeerDigest(to: &out) ?? false
    }
    package borrowing func appendPeerName(_ name: PeerName, to out: inout ByteBuffer) -> Bool {
        session?.appendPeerName(name, to: &out) ?? false
    }
    package borrowing func appendPeerNames(to out: inout ByteBuffer) -> Bool {
        session?.appendPeerNames(to: &out) ?? false
    }
    package borrowing func append(_ fact: TLSFact, to out: inout ByteBuffer) { session?.append(fact, to: &out) }
    package borrowing func verifyError() -> String { session?.verifyError() ?? "" }
    /// The handshake settled on HTTP/2 (RFC 7301).
    package borrowing func carriesStreams() -> Bool { session?.carriesStreams() ?? false }
    /// `TLSv1.3`; empty on a plain stream.
    package borrowing func protocolName() -> String { session?.protocolName() ?? "" }
    package borrowing func cipherName() -> String { session?.cipherName() ?? "" }
}
