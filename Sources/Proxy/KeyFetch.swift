// Fetches a key set over HTTP or HTTPS, on a thread that lives for one fetch: it may block, and nobody waits for it. A
// source may lie, stall, redirect or flood; every bound is here.
import Bytes
import Configuration
import Connections
import HTTP
import JOSE
import Reactor
import Transport

struct KeyFetch: ~Copyable {
    /// Name look-up apart, a fetch takes at most this long.
    private static var limitNanoseconds: UInt64 { 10_000_000_000 }
    /// Bytes of a key set: sixty-four RSA keys with certificates fit.
    private static var bodyLimit: Int { 256 * 1024 }

    private struct Failure: Error { let text: String }

    private let source: KeySource
    private let end: Instant
    private var buffers = BufferPool()
    private var input = ByteBuffer(capacity: 64 * 1024)
    private var body: [UInt8] = []

    /// Starts a thread; its result arrives in the mailbox.
    static func start(_ source: KeySource, provider: String, generation: Int, _ results: Mailbox<ControlMessage>) {
        Thread.start(name: "keys") {
            var fetch = KeyFetch(source)
            results.post(.fetched(provider: provider, generation: generation, fetch.run()))
        }
    }
    private init(_ source: KeySource) {
        self.source = source
        end = Instant(nanoseconds: EventLoop.monotonic.nanoseconds + Self.limitNanoseconds)
    }
    private mutating func run() -> KeyFetchResult {
        do throws(Failure) {
            try transfer()
            return .keys(try parse())
        } catch {
            return .failed(error.text)
        }
    }
    private func parse() throws(Failure) -> JSONWebKeySet {
        do throws(JOSEError) {
            let set = try JSONWebKeySet.parse(body)
            // A source that lost its keys must not take ours.
            guard !set.keys.isEmpty else { throw JOSEError.unusable("it holds no usable key") }
            return set
        } catch {
            throw Failure(text: "the document is not a usable key set: \(error)")
        }
    }

    // MARK: the exchange

    private mutating func transfer() throws(Failure) {
        let addresses = HostResolution.addresses(of: source.host).map { SocketAddress(address: $0, port: source.port) }
        guard !addresses.isEmpty else { throw Failure(text: "\(source.host) has no address") }
        var last = Failure(text: "")
        for address in addresses {
            do throws(Failure) {
                return try transfer(address)
            } catch {
                last = error
            }
        }
        throw last
    }
    private mutating func transfer(_ address: SocketAddress) throws(Failure) {
        let stream = try connect(address)
        try handshake(stream)
        try send(stream)
        try receive(stream)
    }
    private func connect(_ address: SocketAddress) throws(Failure) -> Stream {
        let socket: Socket
        do throws(SocketError) {
            socket = try Socket.connect(address)
        } catch {
            throw Failure(text: "\(address.text): \(error.text)")
        }
        guard socket.waitWritable(milliseconds: remaining()) else { throw Failure(text: "\(address.text): timed out") }
        let error = socket.connectError
        guard error == 0 else { throw Failure(text: "\(address.text): \(SocketError(number: error).text)") }
        guard source.isTLS else { return Stream(socket) }
        do throws(TLSError) {
            let context = try TLSContext.client()
            let isAddress = IPAddress(source.host) != nil
            guard let session = context.connect(on: socket, host: source.host, isAddress: isAddress) else {
                throw TLSError(subject: .context, reason: "no session can be made")
            }
            return Stream(socket, tls: session)
        } catch {
            throw Failure(text: "TLS: \(error.reason)")
        }
    }
    private func handshake(_ stream: borrowing Stream) throws(Failure) {
        while true {
            switch stream.handshake() {
            case .bytes: return
            case .blocked: try wait(stream, toWrite: false)
            case .closed, .failed:
                let reason = stream.verifyError()
                throw Failure(text: reason.isEmpty ? "the TLS handshake failed" : "certificate: \(reason)")
            }
        }
    }
    private func send(_ stream: borrowing Stream) throws(Failure) {
        let authority = source.port == (source.isTLS ? 443 : 80) ? source.host : "\(source.host):\(source.port)"
        let request = Array(
            """
            GET \(source.target) HTTP/1.1\r
            Host: \(authority)\r
            Accept: application/jwk-set+json, application/json\r
            Accept-Encoding: identity\r
            Connection: close\r
            \r\n
            """.utf8)
        var sent = 0
        while sent < request.count {
            switch stream.write(request.span.extracting(sent..<request.count)) {
            case .bytes(let n): sent += n
            case .blocked: try wait(stream, toWrite: true)
            case .closed, .failed: throw Failure(text: "the connection was closed")
            }
        }
    }
    private mutating func receive(_ stream: borrowing Stream) throws(Failure) {
        var head = ResponseHead()
        var decoder = BodyDecoder()
        var hasHead = false
        body = []
        input.clear()
        while true {
            let isOpen = try read(stream)
            if !hasHead {
                hasHead = try parseHead(&head)
                if hasHead { decoder = BodyDecoder(head.framing, length: head.contentLength) }
            }
            if hasHead, try take(&decoder, isOpen: isOpen) { return }
            if !isOpen { throw Failure(text: "the answer was cut short") }
        }
    }
    private mutating func parseHead(_ head: inout ResponseHead) throws(Failure) -> Bool {
        switch head.parse(input.bytes, isHEAD: false) {
        case .incomplete: return false
        case .failed(let error): throw Failure(text: "not a valid HTTP answer: \(error.reason)")
        case .complete(let n):
            input.consume(n)
            if head.isInterim { return try parseHead(&head) }
            guard head.status == 200 else { throw Failure(text: "status \(head.status) instead of 200") }
            guard head.value(named: Array("content-encoding".utf8).span) == nil else {
                throw Failure(text: "the answer is compressed though that was not asked for")
            }
            guard head.contentLength <= Int64(Self.bodyLimit) else { throw Failure(text: "the answer is too large") }
            return true
        }
    }
    /// True when the body is whole.
    private mutating func take(_ decoder: inout BodyDecoder, isOpen: Bool) throws(Failure) -> Bool {
        while true {
            switch decoder.next(input.bytes) {
            case .data(let n):
                copy(n)
                input.consume(n)
                guard body.count <= Self.bodyLimit else { throw Failure(text: "the answer is too large") }
            case .skip(let n): input.consume(n)
            case .end: return true
            case .incomplete: return !isOpen && decoder.isUntilClose
            case .malformed(let error): throw Failure(text: "not a valid HTTP answer: \(error.reason)")
            }
        }
    }
    private mutating func copy(_ n: Int) {
        for i in 0..<n { body.append(byte(i)) }
    }
    private func byte(_ i: Int) -> UInt8 { input.bytes[i] }
    /// False: the server ended its side.
    private mutating func read(_ stream: borrowing Stream) throws(Failure) -> Bool {
        input.reserve(16 * 1024)
        while true {
            var free = input.free
            switch stream.read(into: &free) {
            case .bytes(let n):
                input.commit(n)
                return true
            case .blocked: try wait(stream, toWrite: false)
            case .closed: return false
            case .failed: throw Failure(text: "the connection broke")
            }
        }
    }
    private func wait(_ stream: borrowing Stream, toWrite: Bool) throws(Failure) {
        let isReady =
            toWrite
            ? stream.socket.waitWritable(milliseconds: remaining())
            : stream.socket.waitReadable(milliseconds: remaining())
        guard isReady else { throw Failure(text: "timed out") }
    }
    private func remaining() -> Int32 {
        let now = EventLoop.monotonic
        return now >= end ? 0 : Int32((end.nanoseconds - now.nanoseconds) / 1_000_000 + 1)
    }
}
