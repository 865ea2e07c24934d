// Fetches one document over HTTP or HTTPS for the gateway itself, on a thread that may block. A server may lie, stall,
// redirect or flood; every bound is here.
import Bytes
import Configuration
import Connections
import HTTP
import Reactor
import Transport

/// Why a fetch came to nothing.
struct FetchFailure: Error, Sendable, Equatable {
    /// The label of the metric.
    enum Reason: String, CaseIterable, Sendable {
        case unknownHost = "unknown_host", forbiddenAddress = "forbidden_address", unreachable, timeout, tls
        case invalidHTTP = "invalid_http", status, redirect, compressed, tooLarge = "too_large"
        case notMetadata = "not_metadata", issuerMismatch = "issuer_mismatch"
        case notKeySet = "not_key_set", tooManyKeys = "too_many_keys", noUsableKey = "no_usable_key"
    }
    let reason: Reason
    /// In words, without secrets.
    let text: String

    init(_ reason: Reason, _ text: String) {
        self.reason = reason
        self.text = text
    }
}

/// What to fetch, and what is allowed on the way.
struct WebRequest: Sendable {
    let address: WebAddress
    /// The value of the Accept field.
    let accept: String
    let end: Instant
    /// See `WebAddress.lookUp`.
    var isConfigured = true
    var allowsInternal = false
    var bodyLimit = 256 * 1024
    /// Whom the server is believed by, in PEM; nil: by the system's authorities.
    var authorities: [UInt8]?
}

struct WebDocument: Sendable {
    var body: [UInt8] = []
    /// How long it may be used, as its server says; nil: it says nothing.
    var lifeSeconds: UInt64?
}

struct WebFetch: ~Copyable {
    /// Redirects that are followed, all of them within the origin.
    private static var redirectLimit: Int { 3 }
    /// Of several addresses each gets its turn.
    private static var connectNanoseconds: UInt64 { 3_000_000_000 }

    private enum Answer {
        case document
        /// The value of Location.
        case elsewhere(String)
    }

    private let request: WebRequest
    private var input = ByteBuffer(capacity: 64 * 1024)
    private var document = WebDocument()

    /// Sleeps until the document is here; name look-up apart, not longer than until `end`.
    static func run(_ request: WebRequest) throws(FetchFailure) -> WebDocument {
        var fetch = WebFetch(request)
        try fetch.follow()
        return fetch.document
    }
    private init(_ request: WebRequest) { self.request = request }

    private mutating func follow() throws(FetchFailure) {
        var address = request.address
        let places = try lookUp(address)
        for _ in 0...Self.redirectLimit {
            switch try ask(address, places) {
            case .document: return
            case .elsewhere(let location):
                guard let next = address.redirected(to: location) else {
                    throw FetchFailure(.redirect, "it redirects to another origin than \(address.origin)")
                }
                address = next
            }
        }
        throw FetchFailure(.redirect, "it redirects more than \(Self.redirectLimit) times")
    }
    private func lookUp(_ address: WebAddress) throws(FetchFailure) -> [SocketAddress] {
        switch address.lookUp(isConfigured: request.isConfigured, allowsInternal: request.allowsInternal) {
        case .found(let places): return places
        case .unknown: throw FetchFailure(.unknownHost, "\(address.host) has no address")
        case .forbidden(let place):
            throw FetchFailure(
                .forbiddenAddress,
                "\(address.host) leads to \(place.text), an address of this machine or its link, which nobody configured"
            )
        }
    }

    // MARK: one request

    private mutating func ask(_ address: WebAddress, _ places: [SocketAddress]) throws(FetchFailure) -> Answer {
        let stream = try connect(address, places)
        try send(address, stream)
        return try receive(stream)
    }
    /// To the first of the addresses that answers.
    private func connect(_ address: WebAddress, _ places: [SocketAddress]) throws(FetchFailure) -> Stream {
        var last = FetchFailure(.unreachable, "")
        for place in places {
            do throws(FetchFailure) {
                let stream = try connect(address, place)
                try handshake(stream)
                return stream
            } catch {
                last = error
            }
        }
        throw last
    }
    private func connect(_ address: WebAddress, _ place: SocketAddress) throws(FetchFailure) -> Stream {
        let socket: Socket
        do throws(SocketError) {
            socket = try Socket.connect(place)
        } catch {
            throw FetchFailure(.unreachable, "\(place.text): \(error.text)")
        }
        let patience = min(remaining(), Int32(Self.connectNanoseconds / 1_000_000))
        guard socket.waitWritable(milliseconds: patience) else {
            throw FetchFailure(.timeout, "\(place.text): timed out")
        }
        let error = socket.connectError
        guard error == 0 else {
            throw FetchFailure(.unreachable, "\(place.text): \(SocketError(number: error).text)")
        }
        guard address.isTLS else { return Stream(socket) }
        do throws(TLSError) {
            let context = try TLSContext.client(authorities: request.authorities)
            guard let session = context.connect(on: socket, host: address.host, isAddress: address.isLiteral) else {
                throw TLSError(subject: .context, reason: "no session can be made")
            }
            return Stream(socket, tls: session)
        } catch {
            throw FetchFailure(.tls, "TLS: \(error.reason)")
        }
    }
    private func handshake(_ stream: borrowing Stream) throws(FetchFailure) {
        while true {
            switch stream.handshake() {
            case .bytes: return
            case .blocked: try wait(stream, toWrite: false)
            case .closed, .failed:
                let reason = stream.verifyError()
                throw FetchFailure(.tls, reason.isEmpty ? "the TLS handshake failed" : "certificate: \(reason)")
            }
        }
    }
    private func send(_ address: WebAddress, _ stream: borrowing Stream) throws(FetchFailure) {
        let request = Array(
            """
            GET \(address.target) HTTP/1.1\r
            Host: \(address.authority)\r
            Accept: \(request.accept)\r
            Accept-Encoding: identity\r
            Connection: close\r
            \r\n
            """.utf8)
        var sent = 0
        while sent < request.count {
            switch stream.write(request.span.extracting(sent..<request.count)) {
            case .bytes(let n): sent += n
            case .blocked: try wait(stream, toWrite: true)
            case .closed, .failed: throw FetchFailure(.unreachable, "the connection was closed")
            }
        }
    }
    private mutating func receive(_ stream: borrowing Stream) throws(FetchFailure) -> Answer {
        var head = ResponseHead()
        var decoder = BodyDecoder()
        var hasHead = false
        document = WebDocument()
        input.clear()
        while true {
            let isOpen = try read(stream)
            if !hasHead {
                hasHead = try parseHead(&head)
                if hasHead {
                    if let location = try redirect(head) { return .elsewhere(location) }
                    try judge(head)
                    decoder = BodyDecoder(head.framing, length: head.contentLength)
                }
            }
            if hasHead, try take(&decoder, isOpen: isOpen) { return .document }
            if !isOpen { throw FetchFailure(.invalidHTTP, "the answer was cut short") }
        }
    }
    private mutating func parseHead(_ head: inout ResponseHead) throws(FetchFailure) -> Bool {
        switch head.parse(input.bytes, isHEAD: false) {
        case .incomplete: return false
        case .failed(let error): throw FetchFailure(.invalidHTTP, "not a valid HTTP answer: \(error.reason)")
        case .complete(let n):
            input.consume(n)
            return head.isInterim ? try parseHead(&head) : true
        }
    }
    private func redirect(_ head: borrowing ResponseHead) throws(FetchFailure) -> String? {
        guard [301, 302, 303, 307, 308].contains(head.status) else { return nil }
        guard let location = Self.text(of: "location", head) else {
            throw FetchFailure(.redirect, "it redirects to nowhere")
        }
        return location
    }
    private mutating func judge(_ head: borrowing ResponseHead) throws(FetchFailure) {
        guard head.status == 200 else { throw FetchFailure(.status, "status \(head.status) instead of 200") }
        guard (Self.text(of: "content-encoding", head) ?? "identity").lowercased() == "identity" else {
            throw FetchFailure(.compressed, "the answer is compressed though that was not asked for")
        }
        guard head.contentLength <= Int64(request.bodyLimit) else { throw tooLarge }
        if let text = Self.text(of: "cache-control", head) {
            let age = Self.text(of: "age", head).flatMap { UInt64($0) } ?? 0
            document.lifeSeconds = Self.life(text).map { $0 > age ? $0 - age : 0 }
        }
    }
    private static func text(of name: String, _ head: borrowing ResponseHead) -> String? {
        guard let range = head.value(named: Array(name.utf8).span) else { return nil }
        return String(decoding: range.map { head.bytes[$0] }, as: UTF8.self)
    }
    /// Seconds that `Cache-Control` allows (RFC 9111 section 5.2.2); nil when it says nothing of that.
    static func life(_ cacheControl: String) -> UInt64? {
        var life: UInt64?
        for part in cacheControl.lowercased().split(separator: ",") {
            let directive = part.filter { $0 != " " && $0 != "\t" && $0 != "\"" }
            if directive == "no-store" || directive.hasPrefix("no-cache") { return 0 }
            guard directive.hasPrefix("max-age=") else { continue }
            let digits = directive.dropFirst(8)
            // What is no number is stale at once (section 4.2.1); one that is too large is only very large.
            guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return 0 }
            life = min(life ?? .max, UInt64(digits) ?? .max)
        }
        return life
    }
    /// True when the body is whole.
    private mutating func take(_ decoder: inout BodyDecoder, isOpen: Bool) throws(FetchFailure) -> Bool {
        while true {
            switch decoder.next(input.bytes) {
            case .data(let n):
                copy(n)
                input.consume(n)
                guard document.body.count <= request.bodyLimit else { throw tooLarge }
            case .skip(let n), .trailer(let n): input.consume(n)
            case .end: return true
            case .incomplete: return !isOpen && decoder.isUntilClose
            case .malformed(let error):
                throw FetchFailure(.invalidHTTP, "not a valid HTTP answer: \(error.reason)")
            }
        }
    }
    private var tooLarge: FetchFailure {
        FetchFailure(.tooLarge, "the answer has more than \(request.bodyLimit) bytes")
    }
    private mutating func copy(_ n: Int) {
        for i in 0..<n { document.body.append(byte(i)) }
    }
    private func byte(_ i: Int) -> UInt8 { input.bytes[i] }
    /// False: the server ended its side.
    private mutating func read(_ stream: borrowing Stream) throws(FetchFailure) -> Bool {
        input.reserve(16 * 1024)
        while true {
            var free = input.free
            switch stream.read(into: &free) {
            case .bytes(let n):
                input.commit(n)
                return true
            case .blocked: try wait(stream, toWrite: false)
            case .closed: return false
            case .failed: throw FetchFailure(.invalidHTTP, "the connection broke")
            }
        }
    }
    private func wait(_ stream: borrowing Stream, toWrite: Bool) throws(FetchFailure) {
        let isReady =
            toWrite
            ? stream.socket.waitWritable(milliseconds: remaining())
            : stream.socket.waitReadable(milliseconds: remaining())
        guard isReady else { throw FetchFailure(.timeout, "timed out") }
    }
    private func remaining() -> Int32 {
        let now = EventLoop.monotonic
        return now >= request.end ? 0 : Int32((request.end.nanoseconds - now.nanoseconds) / 1_000_000 + 1)
    }
}
