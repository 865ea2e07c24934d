// A client's session and a server's, each with the bytes of the other.
import Bytes
import HTTP
import HTTP2
import SeededRandom
import Testing

/// Both ends of one connection.
private struct Pair: ~Copyable {
    var client: HTTP2ClientSession
    var server: Conversation
    var pool = BufferPool()
    var said: [String] = []
    /// The newest request.
    var call = SlotID.none

    init(_ client: consuming HTTP2ClientSession, _ server: consuming Conversation) {
        self.client = client
        self.server = server
    }
    static func make() throws -> Pair {
        let server = try Conversation()
        guard let client = HTTP2ClientSession(streams: 100) else { throw Conversation.NoMemory() }
        return Pair(client, server)
    }

    mutating func request(_ text: String, hasBody: Bool) -> Bool {
        var fields = FieldList()
        fields.take(request: Array(text.utf8).span, scheme: "http")
        let owner = SlotID(index: Int32(client.streamCount()), generation: 1)
        let begun = client.begin(fields, owner: owner, hasBody: hasBody, isHEAD: false, isOnUsed: false)
        call = begun ?? .none
        return begun != nil
    }
    /// What each has to say reaches the other, until both are silent.
    mutating func exchange() {
        var passed = 0
        while true {
            var out = ByteQueue()
            let isGood = client.write(to: &out, upTo: 1 << 20, pool: &pool)
            var bytes: [UInt8] = []
            do {
                let all = out.bytes
                for i in all.indices { bytes.append(all[i]) }
            }
            out.release(to: &pool)
            if isGood && !bytes.isEmpty { server.receive(bytes) } else { server.flush() }
            let answer = Array(server.sent[passed...])
            passed = server.sent.count
            if answer.isEmpty { break }
            take(answer)
        }
        server.sent = []
    }
    mutating func take(_ bytes: [UInt8]) {
        if !client.receive(bytes.span) { said.append("broken") }
        while let event = client.next() {
            switch event {
            case .head(let call, let range, let isWhole):
                var head = ResponseHead()
                let error = client.readHead(range, of: call, isWhole: isWhole, into: &head)
                said.append(error.map { "\($0)" } ?? "head \(head.status)\(head.isWhole ? " whole" : "")")
            case .body(let call, let range):
                said.append("body \(range.count)")
                client.consume(range.count, of: call)
            case .trailers(let call, let range):
                client.keepTrailers(range, of: call)
                said.append(String(decoding: client.trailers(call), as: UTF8.self))
            case .end(let call):
                said.append("end")
                client.end(call)
                client.release(call, pool: &pool)
            case .failed(let call, let isSafe):
                said.append("failed\(isSafe ? " safely" : "")")
                client.release(call, pool: &pool)
            }
        }
    }
}

struct ClientSessionTests {
    private static let get = "GET /x?y HTTP/1.1\r\nHost: a.test\r\nAccept: */*\r\nX-One:  1 \r\n\r\n"

    @Test func `a request in the form of HTTP 1 is one of HTTP 2`() throws {
        var pair = try Pair.make()
        let begun = pair.request(Self.get, hasBody: false)
        pair.exchange()
        #expect(begun && pair.server.heads.map(\.path) == ["/x"] && pair.server.ended == [1])
        #expect(pair.server.heads.first?.fields == ["host host=a.test", "other accept=*/*", "other x-one=1"])
    }

    @Test func `what names the server goes first, wherever it stood`() throws {
        var pair = try Pair.make()
        let text = "GET /x HTTP/1.1\r\nX-One: 1\r\nConnection: x\r\nhOST:  b.test \r\nX-Two: 2\r\n\r\n"
        _ = pair.request(text, hasBody: false)
        pair.exchange()
        #expect(pair.server.heads.first?.fields == ["host host=b.test", "other x-one=1", "other x-two=2"])
    }

    @Test(arguments: ["application/grpc", "application/grpc+proto", "text/plain"])
    func `only calls say that they take trailers`(type: String) throws {
        var pair = try Pair.make()
        let text = "POST /s/m HTTP/1.1\r\nHost: a\r\nContent-Type: \(type)\r\nTransfer-Encoding: chunked\r\n\r\n"
        _ = pair.request(text, hasBody: true)
        pair.exchange()
        let fields = pair.server.heads.first?.fields ?? []
        #expect(fields.contains("te te=trailers") == type.hasPrefix("application/grpc"))
        #expect(!fields.contains { $0.hasPrefix("transferEncoding") })
    }

    @Test func `bodies and trailers go through, and another request may follow`() throws {
        var pair = try Pair.make()
        for stream in [Int32(1), 3] {
            _ = pair.request("POST / HTTP/1.1\r\nHost: a\r\n\r\n", hasBody: true)
            let call = pair.call
            pair.client.send([UInt8](repeating: 7, count: 100_000).span, on: call, pool: &pair.pool)
            pair.exchange()
            let isOver = pair.client.streamCount() == 0
            #expect(
                pair.server.bodies[stream]?.utf8.count == 100_000 && pair.server.ended.count == (stream == 1 ? 0 : 1))
            pair.client.finish(call)
            pair.exchange()
            let done = pair.server.respond(200, "x-two: 2\r\n", stream: stream, ends: false)
            _ = pair.server.send([UInt8](repeating: 8, count: 10), stream: stream)
            let end = pair.server.session.finish(stream: stream, trailers: Array("grpc-status: 0\r\n".utf8))
            pair.exchange()
            let isReusable = pair.client.isOpen() && pair.client.streamCount() == 0
            #expect(done && end && !isOver && isReusable)
            #expect(pair.said == ["head 200", "body 10", "grpc-status: 0\r\n", "end"])
            pair.said = []
        }
    }

    @Test func `requests run side by side, and what ends one leaves the others`() throws {
        var pair = try Pair.make()
        var calls: [SlotID] = []
        for _ in 0..<100 {
            _ = pair.request(Self.get, hasBody: false)
            calls.append(pair.call)
        }
        let isFull = !pair.request(Self.get, hasBody: false)
        pair.exchange()
        #expect(isFull && pair.server.heads.count == 100)
        // The last is nobody's any more, one is refused, the others are answered, the newest first.
        pair.client.release(calls[99], pool: &pair.pool)
        pair.server.session.reset(3, code: 7)
        for stream in stride(from: Int32(197), through: 1, by: -2) where stream != 3 {
            _ = pair.server.respond(200, "", stream: stream, ends: true)
        }
        pair.exchange()
        let left = pair.client.streamCount(), isOpen = pair.client.isOpen()
        #expect(pair.said.filter { $0 == "head 200 whole" }.count == 98)
        #expect(pair.said.filter { $0 == "failed safely" }.count == 1 && left == 0 && isOpen)
    }

    @Test func `a stream whose answer is kept has a window of its own`() throws {
        var pair = try Pair.make()
        _ = pair.request(Self.get, hasBody: false)
        let call = pair.call
        pair.exchange()
        _ = pair.server.respond(200, "", stream: 1, ends: false)
        _ = pair.server.send([UInt8](repeating: 8, count: 1_000_000), stream: 1)
        var kept = 0
        for _ in 0..<100 {
            var out = ByteQueue()
            _ = pair.client.write(to: &out, upTo: 1 << 20, pool: &pair.pool)
            var bytes: [UInt8] = []
            do {
                let all = out.bytes
                for i in all.indices { bytes.append(all[i]) }
            }
            out.release(to: &pair.pool)
            pair.server.sent = []
            if bytes.isEmpty { pair.server.flush() } else { pair.server.receive(bytes) }
            let answer = pair.server.sent
            if !answer.isEmpty { _ = pair.client.receive(answer.span) }
            while let event = pair.client.next() {
                if case .body(let call, let range) = event {
                    pair.client.keep(range, of: call, pool: &pair.pool)
                    kept += range.count
                }
            }
        }
        var taken = ByteBuffer(capacity: 1)
        pair.client.takeKept(call, to: &taken, pool: &pair.pool)
        let keepsMore = pair.client.keepsBytes(call)
        #expect(kept == 256 * 1024 && taken.count == kept && !keepsMore)
    }

    @Test func `a head may be all there is`() throws {
        var pair = try Pair.make()
        _ = pair.request(Self.get, hasBody: false)
        pair.exchange()
        pair.server.fields.begin(status: 103)
        pair.server.session.inform(pair.server.fields, stream: 1)
        _ = pair.server.respond(200, "grpc-status: 5\r\n", stream: 1, ends: true)
        pair.exchange()
        #expect(pair.said == ["head 103", "head 200 whole", "end"])
    }

    @Test func `what ends a stream says whether anything was done`() throws {
        for (code, word) in [(UInt32(7), "failed safely"), (2, "failed"), (1, "failed"), (0, "failed")] {
            var pair = try Pair.make()
            _ = pair.request(Self.get, hasBody: false)
            pair.exchange()
            pair.server.session.reset(1, code: code)
            pair.exchange()
            let isReusable = pair.client.isOpen() && pair.client.streamCount() == 0
            #expect(pair.said == [word] && isReusable)
        }
        var pair = try Pair.make()
        _ = pair.request(Self.get, hasBody: false)
        var preface = RawClient(continuing: ())
        preface.frame(4, 0, 0, [])
        // GOAWAY whose last stream is none.
        preface.frame(7, 0, 0, RawClient.word(0) + RawClient.word(0))
        var out = ByteQueue()
        _ = pair.client.write(to: &out, upTo: 1 << 20, pool: &pair.pool)
        pair.take(preface.bytes)
        let isReusable = pair.client.isOpen() && pair.client.streamCount() == 0
        // Nothing more is to come from there.
        #expect(pair.said == ["broken", "failed safely"] && !isReusable)
    }

    @Test func `bytes of another protocol are of no use`() throws {
        for bytes in [Array("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".utf8), [UInt8](repeating: 255, count: 40)] {
            var pair = try Pair.make()
            _ = pair.request(Self.get, hasBody: false)
            pair.take(bytes)
            var out = ByteQueue()
            let isGood = pair.client.write(to: &out, upTo: 1 << 20, pool: &pair.pool)
            #expect(!isGood || pair.said.contains("broken"))
        }
    }

    @Test func `a head that is too large is none`() throws {
        var pair = try Pair.make()
        _ = pair.request(Self.get, hasBody: false)
        pair.exchange()
        let large = String(repeating: "x: \(String(repeating: "v", count: 1_000))\r\n", count: 70)
        _ = pair.server.respond(200, large, stream: 1, ends: true)
        pair.exchange()
        #expect(pair.said.first == "failed")
    }

    @Test func `no bytes crash a session`() throws {
        var answer = RawClient(continuing: ())
        answer.frame(4, 0, 0, [])
        answer.headers(1, [(":status", "200"), ("x", "y")], ends: false)
        answer.data(1, "hello")
        answer.headers(1, [("grpc-status", "0")])
        let seed: UInt64 = 0x9114
        var random = SeededGenerator(seed: seed)
        for _ in 0..<2_000 {
            var bytes = answer.bytes
            for _ in 0..<3 {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            var pair = try Pair.make()
            _ = pair.request(Self.get, hasBody: false)
            var out = ByteQueue()
            _ = pair.client.write(to: &out, upTo: 1 << 20, pool: &pair.pool)
            pair.take(bytes)
            #expect(pair.said.count <= 8, "seed \(seed)")
        }
    }
}
