// The server side of one client's connection: request events out of a stream, responses into its output. Knows no policy.
package import Bytes
package import HTTP
package import Reactor
package import Transport

package struct ServerConnection: ~Copyable {
    private enum Phase: UInt8 {
        /// Whoever forwards the connection says first whom it is from.
        case source
        case handshake
        /// Its first bytes tell whether it speaks in requests one after the other or in streams.
        case preface
        case head, body
        /// It carries streams; a session reads them.
        case streams
        /// A whole request was read; the next one waits for the response.
        case complete
        /// The last answer is on its way out.
        case closing
        /// Our side has ended; what still comes is thrown away, so that the answer is not lost to a reset.
        case lingering
    }
    private let inPlace = InPlace()
    private var stream: Stream
    private var phase: Phase
    private var progress = HeadProgress()
    private var decoder = BodyDecoder()
    private var encoder = BodyEncoder()
    private var readable = false
    private var hungUp = false
    /// What is kept says nothing before more bytes come.
    private var isStarved = false
    private var isDiscarding = false
    /// Both sides talk in another protocol now, until both have ended.
    package private(set) var isTunnel = false
    /// Our side ends when the output is out.
    private var endsOutput = false
    /// It was a tunnel, in which much may be on its way: as long as it lingers, all of it is thrown away.
    private var discardsAll = false
    private let offersStreams: Bool
    private var minor: UInt8 = 1
    package private(set) var closesAfterResponse = false
    package private(set) var responseBegun = false
    package var isDirty = false
    package var isQueued = false
    /// The absolute deadline of the head that is arriving is armed.
    package var headIsTimed = false
    private var discarded: Int32 = 0
    package private(set) var requests: UInt32 = 0
    package var exchange = SlotID.none
    /// Of a connection that carries streams.
    package var session = SlotID.none
    package var deadline: Deadline?
    /// The listener's place in the configuration in force.
    package var listener: Int32
    /// What its TLS demanded of the client's certificate, by number; 0: nothing.
    package var clientRules: UInt32 = 0
    package private(set) var address: ClientAddress
    /// Who speaks on it is believed about whom its requests are from.
    package var isBelieved = false
    /// Whoever forwards it did not say for whom.
    package private(set) var isNameless = false
    private var sent: UInt32 = 0
    private var received: UInt32 = 0
    private var kept = ByteQueue()
    package var output = ByteQueue()
    /// Field lines that came behind the body of the request.
    package private(set) var trailers: [UInt8] = []

    /// - Parameters:
    ///   - offersStreams: in clear text, too, for clients that know it (RFC 9113 section 3.3).
    ///   - namesSource: it begins with the PROXY protocol.
    package init(
        _ stream: consuming Stream, address: ClientAddress, listener: Int32, offersStreams: Bool = false,
        namesSource: Bool = false
    ) {
        self.offersStreams = offersStreams
        phase = namesSource ? .source : Self.first(isTLS: !stream.isPlain, offersStreams)
        self.stream = stream
        self.address = address
        self.listener = listener
    }
    private static func first(isTLS: Bool, _ offersStreams: Bool) -> Phase {
        isTLS ? .handshake : offersStreams ? .preface : .head
    }
    package var descriptor: Int32 { stream.socket.descriptor }
    /// The address that the client connected to; nil for a UNIX-domain socket.
    package var localAddress: SocketAddress? { stream.socket.localAddress }
    package var isTLS: Bool { !stream.isPlain }
    package var outputCount: Int { output.count }
    package var requestIsComplete: Bool { phase != .body && !isAtHead }
    /// Waits for a request of which nothing has come.
    package var isIdle: Bool { (isAtHead || phase == .handshake) && kept.isEmpty && output.isEmpty && !readable }
    package var isAtHead: Bool { phase == .head || phase == .preface }
    package var awaitsSource: Bool { phase == .source }
    package var isHandshaking: Bool { phase == .handshake }
    package var isReadingBody: Bool { phase == .body }
    package var isClosing: Bool { phase == .closing }
    package var isLingering: Bool { phase == .lingering }
    package var discards: Bool { isDiscarding }
    /// Bytes came that were not looked at yet.
    package var keepsBytes: Bool { !kept.isEmpty }
    package var hasPartOfHead: Bool { isAtHead && !kept.isEmpty }
    /// More events may come without a new readiness: bytes are kept or the socket has some, and the phase wants them.
    package var canProceed: Bool {
        (phase == .head || phase == .body || phase == .handshake || phase == .preface)
            && (readable || !(isStarved || kept.isEmpty))
            || (phase == .lingering || phase == .streams) && readable || bodyIsThere
    }
    /// All of a body was taken while nobody waited for more of it: its end was not said yet.
    private var bodyIsThere: Bool { phase == .body && decoder.isFinished }
    package borrowing func protocolName() -> String { stream.protocolName() }
    package borrowing func cipherName() -> String { stream.cipherName() }

    /// Appends SHA-256 of the certificate that the client proved to have; false when it has none.
    package borrowing func appendCertificateDigest(to out: inout ByteBuffer) -> Bool {
        stream.appendPeerDigest(to: &out)
    }
    /// Appends what that certificate calls the client; false when it has no such name.
    package borrowing func appendCertificateName(_ name: PeerName, to out: inout ByteBuffer) -> Bool {
        stream.appendPeerName(name, to: &out)
    }

    /// Appends all names of that certificate, in the records of `TLSSession.appendPeerNames`.
    package borrowing func appendCertificateNames(to out: inout ByteBuffer) -> Bool {
        stream.appendPeerNames(to: &out)
    }

    /// Appends what is known of its TLS; nothing in clear text.
    package borrowing func append(_ fact: TLSFact, to out: inout ByteBuffer) { stream.append(fact, to: &out) }

    // MARK: handshakes

    /// The handshake goes on when it is settled whose TLS settings hold.
    package var isUnsettled: Bool { phase == .handshake && readable && (stream.isAwaitingTLS || stream.isHalted()) }
    /// Nothing is settled of its TLS, and nothing spent on it.
    package var isAwaitingTLS: Bool { stream.isAwaitingTLS }
    package mutating func begin(_ session: consuming TLSSession, clientRules: UInt32) {
        stream.begin(session)
        self.clientRules = clientRules
    }
    /// What the handshake has to say, a long chain of certificates, waits for room in the socket.
    package var handshakeIsSending: Bool { phase == .handshake && stream.isSending() }
    /// Appends the host that the client of a halted handshake wants; nothing, when it has named none.
    package borrowing func appendRequestedName(to out: inout ByteBuffer) { stream.appendRequestedName(to: &out) }
    /// The halted handshake goes on under these settings.
    package borrowing func adopt(_ context: borrowing TLSContext) -> Bool { stream.adopt(context) }
    /// The client was not asked for the certificate that these rules demand, or for another one: what it wants there is for
    /// another connection (RFC 9110 section 15.5.20).
    @inline(__always) package func isMisdirected(to rules: UInt32) -> Bool { !stream.isPlain && clientRules != rules }

    package mutating func note(_ readiness: Readiness) {
        if readiness.isReadable { readable = true }
        if readiness.isHungUp { hungUp = true }
    }

    /// Reads the header that names the client, and not a byte more: what follows may be TLS, which reads the socket itself.
    /// Until the header is whole it stays in the socket. Uses up `input`.
    package mutating func takeSource(_ input: inout ByteBuffer) -> SourceArrival {
        input.clear()
        input.reserve(ProxyHeader.maximumSize)
        var free = input.free
        switch stream.socket.peek(atMost: ProxyHeader.maximumSize, into: &free) {
        case .bytes(let n): input.commit(n)
        case .blocked: return .incomplete
        case .closed, .failed: return .gone
        }
        defer { input.clear() }
        switch ProxyHeader.read(input.bytes) {
        case .incomplete: return hungUp ? .gone : .incomplete
        case .malformed(let error): return .malformed(error)
        case .complete(let count, let peer):
            input.clear()
            var free = input.free
            guard case .bytes(count) = stream.socket.receive(atMost: count, into: &free) else { return .gone }
            if let peer { address = ClientAddress(peer) }
            isNameless = address.address == nil || peer == nil
            phase = Self.first(isTLS: isTLS, offersStreams)
            return .known
        }
    }

    /// Puts kept bytes and what the stream has into the empty `input`.
    package mutating func receive(into input: inout ByteBuffer, _ pool: inout BufferPool) -> Arrival {
        if phase == .handshake {
            if stream.isAwaitingTLS || isUnsettled { return .nothing }
            switch stream.handshake() {
            case .bytes: phase = stream.carriesStreams() ? .streams : .head
            case .blocked:
                readable = stream.isHalted()
                return .nothing
            case .closed, .failed: return .failed
            }
        }
        input.clear()
        let had = !kept.isEmpty
        if had {
            input.append(kept.bytes)
            kept.release(to: &pool)
        }
        guard readable else { return had || bodyIsThere ? .bytes : .nothing }
        // A head may be larger than the input; a read into no room would look like the end of the stream.
        input.reserve(1)
        var free = input.free
        let room = free.count
        switch stream.read(into: &free) {
        case .bytes(let n):
            input.commit(n)
            received &+= UInt32(truncatingIfNeeded: n)
            isStarved = false
            if n < room && stream.isPlain && !hungUp { readable = false }
            return .bytes
        case .blocked:
            readable = false
            return had ? .bytes : .nothing
        case .closed:
            readable = false
            return .closed
        case .failed: return .failed
        }
    }

    /// What the input says next. Limits are those of the listener: a head has no location yet.
    package mutating func next(
        in input: inout ByteBuffer, head: inout RequestHead, limits: HTTPLimits
    ) -> MessageEvent {
        while true {
            switch phase {
            case .head:
                if input.isEmpty { return .starved }
                switch head.parse(input.bytes, limits: limits, progress: &progress) {
                case .complete(let n):
                    input.consume(n)
                    begin(head)
                    return .head
                case .incomplete:
                    isStarved = true
                    return .starved
                case .failed(let error): return .malformed(error)
                }
            case .body:
                switch decoder.next(input.bytes) {
                case .data(let n):
                    if !isDiscarding { return .body(n) }
                    input.consume(n)
                    discarded += Int32(truncatingIfNeeded: n)
                    if discarded > ConnectionLimits.discarded { return .overrun }
                case .skip(let n):
                    input.consume(n)
                    if isDiscarding { discarded += Int32(truncatingIfNeeded: n) }
                case .trailer(let n):
                    if !isDiscarding { trailers.keep(trailer: input.prefix(n)) }
                    input.consume(n)
                case .end:
                    if !isDiscarding {
                        phase = .complete
                        return .end
                    }
                    isDiscarding = false
                    phase = .head
                case .incomplete:
                    isStarved = !input.isEmpty
                    return .starved
                case .malformed(let error): return .malformed(error)
                }
            case .lingering:
                if !discardsAll { discarded += Int32(truncatingIfNeeded: input.count) }
                input.clear()
                return discarded > ConnectionLimits.discarded ? .overrun : .starved
            case .preface:
                switch Self.beginsStreams(input.bytes) {
                case .none:
                    isStarved = true
                    return .starved
                case .some(let carriesStreams): phase = carriesStreams ? .streams : .head
                }
            case .streams: return .streams
            case .source, .handshake, .complete, .closing: return .paused
            }
        }
    }
    /// Nil: too few bytes to tell. No method begins like this (RFC 9113 section 3.4).
    private static func beginsStreams(_ bytes: Span<UInt8>) -> Bool? {
        var i = 0
        for byte in "PRI * HTTP/2.0".utf8 {
            if i == bytes.count { return nil }
            if bytes[i] != byte { return false }
            i += 1
        }
        return true
    }
    private mutating func begin(_ head: borrowing RequestHead) {
        decoder = BodyDecoder(head.framing, length: head.contentLength)
        closesAfterResponse = head.wantsClose
        minor = head.minor
        responseBegun = false
        headIsTimed = false
        if !trailers.isEmpty { trailers = [] }
        requests &+= 1
        phase = head.framing == .none ? .complete : .body
    }
    /// One more request came on a stream.
    package mutating func countRequest() { requests &+= 1 }
    /// Keeps what `next` did not take until there is a reason to go on.
    package mutating func keep(_ input: inout ByteBuffer, _ pool: inout BufferPool) {
        if input.isEmpty { return }
        kept.reserve(input.count, &pool)
        kept.append(input.bytes)
        input.clear()
    }

    // MARK: responses

    /// The response will be the last on this connection.
    package mutating func closeAfterResponse() { closesAfterResponse = true }

    /// Sends an upstream's head in the framing this client understands. `added` is whole fields.
    package mutating func sendHead(
        _ head: borrowing ResponseHead, dropping filter: borrowing FieldFilter, adding added: borrowing ByteBuffer,
        _ pool: inout BufferPool
    ) {
        responseBegun = true
        var framing = head.framing
        if framing == .untilClose && minor == 1 { framing = .chunked }
        if framing == .chunked && minor == 0 { framing = .untilClose }
        if framing == .untilClose || phase != .complete { closesAfterResponse = true }
        encoder = BodyEncoder(framing)
        output.reserve(head.bytes.count + added.count + 96, &pool)
        head.writeStatusLine(to: &output)
        head.writeFields(dropping: filter, to: &output)
        output.append(added.bytes)
        if framing == .chunked { output.append("Transfer-Encoding: chunked\r\n") }
        writeConnection()
        output.append("\r\n")
    }
    private mutating func writeConnection() {
        if closesAfterResponse {
            output.append("Connection: close\r\n")
        } else if minor == 0 {
            output.append("Connection: keep-alive\r\n")
        }
    }
    /// An interim response goes on as it came; HTTP/1.0 knows none (RFC 9110 section 15.2).
    package mutating func sendInterim(
        _ head: borrowing ResponseHead, dropping filter: borrowing FieldFilter, _ pool: inout BufferPool
    ) {
        if minor == 0 { return }
        output.reserve(head.bytes.count + 32, &pool)
        head.writeStatusLine(to: &output)
        head.writeFields(dropping: filter, to: &output)
        output.append("\r\n")
    }
    /// Sends the head by which an upstream agrees to change the protocol. What follows it goes through as it is.
    package mutating func openTunnel(
        _ head: borrowing ResponseHead, dropping filter: borrowing FieldFilter, adding added: borrowing ByteBuffer,
        _ pool: inout BufferPool
    ) {
        responseBegun = true
        closesAfterResponse = true
        isTunnel = true
        isStarved = false
        phase = .body
        decoder = BodyDecoder(.untilClose, length: 0)
        encoder = BodyEncoder(.untilClose)
        output.reserve(head.bytes.count + added.count + 96, &pool)
        head.writeStatusLine(to: &output)
        head.writeFields(dropping: filter, to: &output)
        output.append(added.bytes)
        output.append("Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    }
    /// The upstream has ended its side of a tunnel. The caller flushes.
    package mutating func endTunnelOutput() { endsOutput = true }
    /// Nothing more is taken or given, beyond what is in the output.
    package mutating func closeTunnel() {
        isTunnel = false
        discardsAll = true
        phase = .closing
    }
    package mutating func sendContinue(_ pool: inout BufferPool) {
        output.reserve(32, &pool)
        output.append("HTTP/1.1 100 Continue\r\n\r\n")
    }
    package mutating func sendBody(_ bytes: Span<UInt8>, _ pool: inout BufferPool) {
        if bytes.count < ConnectionLimits.direct { return encoder.write(bytes, to: &output, &pool) }
        encoder.writeStart(bytes.count, to: &output, &pool)
        let sent = output.isEmpty || flush(&pool) == .emptied ? write(bytes) : 0
        output.reserve(bytes.count - sent + BodyEncoder.overhead, &pool)
        output.append(bytes.extracting(sent..<bytes.count))
        encoder.writeStop(to: &output, &pool)
    }
    /// As much as the stream takes at once. A failure shows when the rest is flushed.
    private mutating func write(_ bytes: Span<UInt8>) -> Int {
        var sent = 0
        while sent < bytes.count, case .bytes(let n) = stream.write(bytes.extracting(sent..<bytes.count)) { sent += n }
        self.sent &+= UInt32(truncatingIfNeeded: sent)
        return sent
    }
    /// Bytes that were written, and that were read, since the last question.
    package mutating func takeSent() -> UInt64 {
        defer { sent = 0 }
        return UInt64(sent)
    }
    package mutating func takeReceived() -> UInt64 {
        defer { received = 0 }
        return UInt64(received)
    }
    /// True: the connection can take another request.
    package mutating func endResponse(_ pool: inout BufferPool) -> Bool {
        encoder.writeEnd(to: &output, &pool)
        return responseEnded()
    }
    /// The same with field lines behind the body, where its framing has a place for them.
    package mutating func endResponse(trailers: [UInt8], _ pool: inout BufferPool) -> Bool {
        encoder.writeEnd(trailers: trailers.span, to: &output, &pool)
        return responseEnded()
    }
    @inline(__always) private mutating func responseEnded() -> Bool {
        if closesAfterResponse || phase != .complete {
            phase = .closing
            return false
        }
        phase = .head
        return true
    }

    /// Whether an answer of the gateway's own must be the last: asked before it is written into `output`.
    package func mustClose(after head: borrowing RequestHead) -> Bool {
        if closesAfterResponse || isAtHead || phase == .closing { return true }
        guard phase == .body else { return false }
        // The client waits for a 100 that will not come, or brings more than is worth reading.
        if head.expectsContinue { return true }
        return head.framing == .length && head.contentLength > Int64(ConnectionLimits.discarded)
    }
    /// A whole answer of the gateway's own is in `output`. True: the connection can take another request.
    package mutating func answered(closing: Bool) -> Bool {
        responseBegun = true
        if closing {
            phase = .closing
            return false
        }
        if phase == .body {
            isDiscarding = true
            discarded = 0
        } else {
            phase = .head
        }
        return true
    }
    /// What is answered next belongs to no earlier response.
    package mutating func forgetResponse() { responseBegun = false }
    /// What was sent of an answer is all there will be of it: the end of the connection, once the output is out, tells the
    /// client that it is not whole. False: there it would be the end of the message.
    package mutating func endMessageHalfway() -> Bool {
        if encoder.framing == .untilClose { return false }
        phase = .closing
        return true
    }
    /// Closes when the output is out.
    package mutating func close() { phase = .closing }
    /// What was begun cannot be finished: the end of the connection must not look like the end of a message.
    package mutating func abort() { stream.socket.resetOnClose() }
    /// True: everything was read, so closing loses nothing. False: our side has ended, and the rest is to be thrown away.
    package mutating func endOutput() -> Bool {
        stream.endOutput()
        if isWhole { return true }
        phase = .lingering
        discarded = 0
        return false
    }
    private var isWhole: Bool { hungUp && !readable }

    package mutating func flush(_ pool: inout BufferPool) -> FlushResult {
        while !output.isEmpty {
            switch stream.write(output.bytes) {
            case .bytes(let n):
                output.consume(n)
                sent &+= UInt32(truncatingIfNeeded: n)
            case .blocked: return .blocked
            case .closed, .failed: return .broken
            }
        }
        output.release(to: &pool)
        if endsOutput {
            endsOutput = false
            stream.endOutput()
        }
        return .emptied
    }
    /// Gives blocks back before the slot is destroyed.
    package mutating func release(_ pool: inout BufferPool) {
        kept.release(to: &pool)
        output.release(to: &pool)
    }
}
