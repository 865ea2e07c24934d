// Raw frames of a client: what an attacker writes, and what no library would.
import Bytes
import HTTP
import HTTP2

struct RawClient {
    var bytes: [UInt8] = []

    /// Begins with the preface and empty SETTINGS.
    init() {
        bytes = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
        frame(4, 0, 0, [])
    }
    /// Continues a connection.
    init(continuing: Void) {}

    mutating func frame(_ type: UInt8, _ flags: UInt8, _ stream: UInt32, _ payload: [UInt8]) {
        let count = payload.count
        bytes += [UInt8(count >> 16 & 255), UInt8(count >> 8 & 255), UInt8(count & 255), type, flags]
        bytes += Self.word(stream) + payload
    }
    mutating func headers(_ stream: UInt32, _ fields: [(String, String)], ends: Bool = true) {
        frame(1, ends ? 5 : 4, stream, Self.block(fields))
    }
    mutating func data(_ stream: UInt32, _ text: String, ends: Bool = false) {
        frame(0, ends ? 1 : 0, stream, Array(text.utf8))
    }

    static func word(_ value: UInt32) -> [UInt8] {
        [UInt8(value >> 24), UInt8(value >> 16 & 255), UInt8(value >> 8 & 255), UInt8(value & 255)]
    }
    /// Literals without indexing (RFC 7541 section 6.2.2).
    static func block(_ fields: [(String, String)]) -> [UInt8] {
        fields.flatMap { [0] + string($0.0) + string($0.1) }
    }
    private static func string(_ text: String) -> [UInt8] {
        let bytes = Array(text.utf8)
        guard bytes.count >= 127 else { return [UInt8(bytes.count)] + bytes }
        var rest = bytes.count - 127, prefix: [UInt8] = [127]
        while rest >= 128 {
            prefix.append(UInt8(rest & 127) | 128)
            rest >>= 7
        }
        return prefix + [UInt8(rest)] + bytes
    }
    static func get(_ path: String = "/", _ more: (String, String)...) -> [(String, String)] {
        [(":method", "GET"), (":scheme", "https"), (":authority", "a.test"), (":path", path)] + more
    }
}

/// One frame that the server sent.
struct SentFrame: Equatable {
    var type: UInt8, flags: UInt8, stream: UInt32, payload: [UInt8]

    /// Of RST_STREAM and GOAWAY.
    var code: UInt32 {
        let at = type == 7 ? 4 : 0
        return payload[at..<at + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }
    static func list(_ bytes: [UInt8]) -> [SentFrame] {
        var frames: [SentFrame] = [], i = 0
        while i + 9 <= bytes.count {
            let count = Int(bytes[i]) << 16 | Int(bytes[i + 1]) << 8 | Int(bytes[i + 2])
            let stream = bytes[i + 5..<i + 9].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            let payload = Array(bytes[i + 9..<i + 9 + count])
            frames.append(SentFrame(type: bytes[i + 3], flags: bytes[i + 4], stream: stream, payload: payload))
            i += 9 + count
        }
        return frames
    }
}

/// A head as text, with what was made of it.
struct ReadHead: Equatable {
    var text: String, framing: BodyFraming, length: Int64, expects: Bool, host: String, name: String, path: String
    var fields: [String]

    init(_ head: borrowing RequestHead) {
        func text(_ range: Range<Int>) -> String { Self.string(head.bytes.extracting(range)) }
        self.text = Self.string(head.bytes)
        framing = head.framing
        length = head.contentLength
        expects = head.expectsContinue
        host = text(head.host)
        name = text(head.hostName)
        path = Self.string(head.target.path(in: head.bytes))
        fields = []
        for k in 0..<head.fields.count {
            fields.append("\(head.fields.id(at: k)) \(text(head.fields.name(at: k)))=\(text(head.fields.value(at: k)))")
        }
    }
    static func string(_ span: Span<UInt8>) -> String {
        var bytes: [UInt8] = []
        for i in span.indices { bytes.append(span[i]) }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// A server session with all that it said.
struct Conversation: ~Copyable {
    var session: HTTP2Session
    var pool = BufferPool()
    var now = Instant(nanoseconds: 1)
    var heads: [ReadHead] = []
    var refused: [String] = []
    var bodies: [Int32: String] = [:]
    var trailers: [String] = []
    var ended: [Int32] = []
    var drained: [Int32] = []
    var answered: [Int32] = []
    var closed: [UInt32] = []
    var fields = FieldList()
    var failure: SessionFailure?
    var sent: [UInt8] = []
    var consumes = true

    init(_ limits: HTTP2Limits = HTTP2Limits()) throws {
        guard let session = HTTP2Session(limits: limits, now: Instant(nanoseconds: 1)) else { throw NoMemory() }
        self.session = session
    }
    struct NoMemory: Error {}

    var frames: [SentFrame] { SentFrame.list(sent) }
    func frames(ofType type: UInt8) -> [SentFrame] { frames.filter { $0.type == type } }

    mutating func receive(_ bytes: [UInt8]) {
        guard failure == nil else { return }
        failure = session.receive(bytes.span, now: now)
        while let event = session.next() { take(event) }
        flush()
    }
    mutating func flush() {
        var out = ByteQueue()
        if let failure = session.write(to: &out, upTo: 1 << 20, now: now, pool: &pool) { self.failure = failure }
        do {
            let all = out.bytes
            for i in all.indices { sent.append(all[i]) }
        }
        out.release(to: &pool)
        while let event = session.next() { take(event) }
    }
    mutating func respond(_ status: Int, _ lines: String = "", stream: Int32, ends: Bool) -> Bool {
        fields.begin(status: status)
        fields.add(Array(lines.utf8).span)
        return session.respond(fields, stream: stream, endsStream: ends)
    }
    mutating func send(_ bytes: [UInt8], stream: Int32) -> Bool {
        session.send(bytes.span, stream: stream, pool: &pool)
    }
    private mutating func take(_ event: StreamEvent) {
        switch event {
        case .head(let stream, let range, let ends):
            var head = RequestHead()
            if let error = session.readHead(stream: stream, range, endsStream: ends, into: &head) {
                refused.append("\(error.code)")
            } else {
                heads.append(ReadHead(head))
            }
        case .refused(_, let refusal): refused.append("\(refusal.code)")
        case .body(let stream, let range):
            bodies[stream, default: ""] += ReadHead.string(session.bytes.extracting(range))
            if consumes { session.consume(range.count, stream: stream) }
        case .trailers(_, let range): trailers.append(ReadHead.string(session.bytes.extracting(range)))
        case .end(let stream): ended.append(stream)
        case .drained(let stream): drained.append(stream)
        case .answered(let stream): answered.append(stream)
        case .closed(_, let code): closed.append(code)
        }
    }
}
