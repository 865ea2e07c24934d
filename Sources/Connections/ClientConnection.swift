// The client side of one connection to an endpoint: requests into its output, response events out of its stream.
package import Bytes
package import HTTP
import HTTP2
package import Reactor
package import Transport

package struct ClientConnection: ~Copyable {
    private enum Phase: UInt8 { case connecting, idle, head, body, complete }
    private let inPlace = InPlace()
    private let stream: Stream
    private var phase = Phase.connecting
    private var progress = HeadProgress()
    private var decoder = BodyDecoder()
    private var encoder = BodyEncoder()
    private var readable = false
    private var hungUp = false
    /// What is kept says nothing before more bytes come.
    private var isStarved = false
    private var isHEAD = false
    private var mustClose = false
    private var requestEnded = false
    /// The request asks for a change of the protocol; both sides have changed; our side ends when the output is out.
    private var asksUpgrade = false
    package private(set) var isTunnel = false
    private var endsOutput = false
    private var interim: UInt8 = 0
    /// It served a request before this one: the peer may have closed it while the request was on its way.
    package private(set) var isReused = false
    /// Some byte of the current request has left.
    package private(set) var hasSent = false
    /// Some byte of the current response has come.
    package private(set) var hasReceived = false
    package var isDirty = false
    package var isQueued = false
    package internal(set) var requests: UInt32 = 0
    /// Where the pool's idle list names it, or -1.
    package var place: Int32 = -1
    package let endpoint: Int32
    package var exchange = SlotID.none
    package var deadline: Deadline?
    private var sent: UInt32 = 0
    private var received: UInt32 = 0
    private var kept = ByteQueue()
    package var output = ByteQueue()
    /// Of a connection that speaks in frames, see ClientStreams.swift.
    var frames: HTTP2ClientSession?
    package let isFramed: Bool
    var isBroken = false
    /// Field lines that came behind the body of an answer.
    package private(set) var trailers: [UInt8] = []
    /// Sent before anything else. What names a client makes the connection that client's alone.
    var preamble: [UInt8] = []
    private var preambleIsSent = false

    package init(connecting stream: consuming Stream, endpoint: Int32, isFramed: Bool = false) {
        self.stream = stream
        self.endpoint = endpoint
        self.isFramed = isFramed
        frames = isFramed ? HTTP2ClientSession(streams: ConnectionLimits.upstreamStreams) : nil
    }
    package var descriptor: Int32 { stream.socket.descriptor }
    package var outputCount: Int { output.count }
    /// Or still shaking hands.
    package var isConnecting: Bool { phase == .connecting }
    package var isSecured: Bool { !stream.isPlain }
    package var isIdle: Bool { phase == .idle }
    package var requestHasEnded: Bool { requestEnded }
    package var canProceed: Bool {
        (phase == .head || phase == .body) && (readable || !(isStarved || kept.isEmpty))
    }
    /// May serve another request: both messages ended, and nothing is left over, here or in the socket, that could be taken
    /// for an answer.
    package var isReusable: Bool {
        guard phase == .complete && requestEnded && !mustClose && !hungUp && preamble.isEmpty else { return false }
        return !readable && kept.isEmpty && output.isEmpty
    }

    /// False: the attempt to connect failed, and nothing of a request has left.
    package mutating func note(_ readiness: Readiness) -> Bool {
        if phase == .connecting {
            if !(readiness.isWritable || readiness.isFailed || isSecured && readiness.isReadable) { return true }
            if stream.socket.connectError != 0 || !sendPreamble() { return false }
            if isSecured {
                switch stream.handshake() {
                case .bytes: readable = true
                case .blocked: return true
                case .closed, .failed: return false
                }
                if stream.carriesStreams() != isFramed { return false }
            }
            phase = .head
        }
        if readiness.isReadable { readable = true }
        if readiness.isHungUp { hungUp = true }
        return true
    }

    /// Why the handshake failed; nil when it had not begun.
    package func handshakeFailure() -> HandshakeFailure? { stream.handshakeFailure() }
    package func wasResumed() -> Bool { stream.wasResumed() }
    package func resumable() -> ResumableSession? { stream.resumable() }
    /// What the connection begins with, before TLS if there is any.
    package mutating func begin(with preamble: [UInt8]) { self.preamble = preamble }
    /// A new socket takes so few bytes at once.
    private mutating func sendPreamble() -> Bool {
        if preamble.isEmpty || preambleIsSent { return true }
        guard case .bytes(preamble.count) = stream.socket.send(preamble.span) else { return false }
        preambleIsSent = true
        return true
    }

    // MARK: requests

    /// Begins a request; the caller writes the head into `output` right after.
    package mutating func beginRequest(_ framing: BodyFraming, isHEAD: Bool, asksUpgrade: Bool = false) {
        if phase == .idle {
            phase = .head
            isReused = true
        }
        self.isHEAD = isHEAD
        self.asksUpgrade = asksUpgrade
        mustClose = false
        requestEnded = false
        hasSent = false
        hasReceived = false
        interim = 0
        if !trailers.isEmpty { trailers = [] }
        requests &+= 1
        encoder = BodyEncoder(framing)
    }
    package mutating func sendBody(_ bytes: Span<UInt8>, _ pool: inout BufferPool) {
        if bytes.count < ConnectionLimits.direct || phase == .connecting {
            return encoder.write(bytes, to: &output, &pool)
        }
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
    package mutating func endRequest(_ pool: inout BufferPool) {
        requestEnded = true
        if isTunnel { endsOutput = true }
        encoder.writeEnd(to: &output, &pool)
    }
    /// The same with field lines behind the body, where its framing has a place for them.
    package mutating func endRequest(trailers: [UInt8], _ pool: inout BufferPool) {
        requestEnded = true
        encoder.writeEnd(trailers: trailers.span, to: &output, &pool)
    }
    /// Nothing more can be sent; an answer may still be there to read.
    package mutating func stopSending(_ pool: inout BufferPool) {
        output.release(to: &pool)
        mustClose = true
        readable = true
    }
    package mutating func rest() {
        phase = .idle
        readable = false
    }

    // MARK: responses

    package mutating func receive(into input: inout ByteBuffer, _ pool: inout BufferPool) -> Arrival {
        input.clear()
        let had = !kept.isEmpty
        if had {
            input.append(kept.bytes)
            kept.release(to: &pool)
        }
        if isBroken { return .failed }
        guard readable else { return had ? .bytes : .nothing }
        // A head may be larger than the input; a read into no room would look like the end of the stream.
        input.reserve(1)
        var free = input.free
        let room = free.count
        switch stream.read(into: &free) {
        case .bytes(let n):
            input.commit(n)
            received &+= UInt32(truncatingIfNeeded: n)
            isStarved = false
            hasReceived = true
            if n < room && stream.isPlain && !hungUp { readable = false }
            return .bytes
        case .blocked:
            readable = false
            return had ? .bytes : .nothing
        case .closed: return .closed
        case .failed: return .failed
        }
    }

    package mutating func next(in input: inout ByteBuffer, head: inout ResponseHead) -> MessageEvent {
        while true {
            switch phase {
            case .head:
                if input.isEmpty { return .starved }
                switch head.parse(input.bytes, isHEAD: isHEAD, limits: .response, progress: &progress) {
                case .complete(let n):
                    input.consume(n)
                    return begin(head)
                case .incomplete:
                    isStarved = true
                    return .starved
                case .failed(let error): return .malformed(error)
                }
            case .body:
                switch decoder.next(input.bytes) {
                case .data(let n): return .body(n)
                case .skip(let n): input.consume(n)
                case .trailer(let n):
                    trailers.keep(trailer: input.prefix(n))
                    input.consume(n)
                case .end:
                    phase = .complete
                    // Bytes after the end belong to nobody: they must never meet the next request.
                    if !input.isEmpty { mustClose = true }
                    return .end
                case .incomplete:
                    isStarved = !input.isEmpty
                    return .starved
                case .malformed(let error): return .malformed(error)
                }
            case .connecting, .idle, .complete: return .paused
            }
        }
    }
    private mutating func begin(_ head: borrowing ResponseHead) -> MessageEvent {
        if head.status < 200 {
            interim += 1
            if head.status == 101 && asksUpgrade { return .head }
            // Nobody asked to switch protocols (RFC 9110 section 15.2.2).
            if head.status == 101 || interim > ConnectionLimits.interimResponses { return .malformed(.statusLine) }
            return .head
        }
        decoder = BodyDecoder(head.framing, length: head.contentLength)
        if head.wantsClose || head.framing == .untilClose { mustClose = true }
        phase = .body
        return .head
    }
    /// The head that came agrees to what was asked for: what follows it, and what the client sends, goes through as it is.
    package mutating func openTunnel() {
        isTunnel = true
        mustClose = true
        requestEnded = false
        isStarved = false
        phase = .body
        decoder = BodyDecoder(.untilClose, length: 0)
        encoder = BodyEncoder(.untilClose)
    }
    /// Nothing more will come, and reading would only say so again.
    package mutating func endTunnelInput() { readable = false }
    /// What the end of the stream means here: the end of a body that only it ends, or a message cut short.
    package mutating func endOfStream() -> Bool {
        guard phase == .body && decoder.isUntilClose else { return false }
        phase = .complete
        mustClose = true
        return true
    }
    package mutating func keep(_ input: inout ByteBuffer, _ pool: inout BufferPool) {
        if input.isEmpty { return }
        kept.reserve(input.count, &pool)
        kept.append(input.bytes)
        input.clear()
    }
    package mutating func flush(_ pool: inout BufferPool) -> FlushResult {
        if phase == .connecting { return .blocked }
        if isFramed { return flushFrames(&pool) }
        return write(&pool)
    }
    mutating func write(_ pool: inout BufferPool) -> FlushResult {
        while !output.isEmpty {
            switch stream.write(output.bytes) {
            case .bytes(let n):
                output.consume(n)
                sent &+= UInt32(truncatingIfNeeded: n)
                hasSent = true
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
    package mutating func release(_ pool: inout BufferPool) {
        kept.release(to: &pool)
        output.release(to: &pool)
        stream.sayGoodbye()
    }
}
