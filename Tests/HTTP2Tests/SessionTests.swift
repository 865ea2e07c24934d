// Answers, windows, budgets and the end of a connection.
import Bytes
import HTTP
import HTTP2
import Testing

struct SessionTests {
    private static func opened(_ streams: [UInt32], _ limits: HTTP2Limits = HTTP2Limits()) throws -> Conversation {
        var client = RawClient()
        for stream in streams { client.headers(stream, RawClient.get()) }
        var server = try Conversation(limits)
        server.receive(client.bytes)
        return server
    }
    /// Sends `count` of what `add` makes, on a connection that has begun.
    private static func flood(_ count: Int, limits: HTTP2Limits = HTTP2Limits(), _ add: (inout RawClient, Int) -> Void)
        throws -> (SessionFailure?, SentFrame?)
    {
        var server = try opened([1], limits)
        var client = RawClient(continuing: ())
        for k in 0..<count {
            add(&client, k)
            if k % 100 == 99 || k == count - 1 {
                server.receive(client.bytes)
                client = RawClient(continuing: ())
            }
        }
        return (server.failure, server.frames(ofType: 7).last)
    }

    @Test func `an answer with body and trailers goes out`() throws {
        var server = try Self.opened([1])
        let lines = Array("Content-Type: text/plain\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n".utf8)
        let done = server.session.respond(status: 200, lines.span, stream: 1, endsStream: false)
        let again = server.session.respond(status: 200, lines.span, stream: 1, endsStream: false)
        #expect(done && !again)
        server.flush()
        #expect(server.frames(ofType: 1).count == 1 && server.frames(ofType: 0).isEmpty)
        let part = server.session.send(Array("hello".utf8).span, stream: 1, pool: &server.pool)
        server.flush()
        #expect(part && server.frames(ofType: 0).map(\.payload) == [Array("hello".utf8)])
        let end = server.session.finish(stream: 1, trailers: Array("grpc-status: 0\r\n".utf8))
        server.flush()
        #expect(end && server.frames(ofType: 1).last?.flags == 5)
        #expect(!server.session.send([1].span, stream: 1, pool: &server.pool))
    }

    @Test func `an answer waits for the client's window`() throws {
        var server = try Self.opened([1])
        _ = server.session.respond(status: 200, [UInt8]().span, stream: 1, endsStream: false)
        _ = server.session.send([UInt8](repeating: 7, count: 70_000).span, stream: 1, pool: &server.pool)
        _ = server.session.finish(stream: 1)
        server.flush()
        #expect(server.frames(ofType: 0).reduce(0) { $0 + $1.payload.count } == 65_535)
        #expect(server.session.waiting(stream: 1) == 70_000 - 65_535)
        var client = RawClient(continuing: ())
        for stream in [UInt32(0), 1] { client.frame(8, 0, stream, RawClient.word(10_000)) }
        server.receive(client.bytes)
        #expect(server.frames(ofType: 0).reduce(0) { $0 + $1.payload.count } == 70_000)
        #expect(server.frames(ofType: 0).last?.flags == 1)
    }

    @Test func `the client's window opens only with what went on`() throws {
        for consumes in [false, true] {
            var client = RawClient()
            client.headers(1, RawClient.get(), ends: false)
            for _ in 0..<4 { client.data(1, String(repeating: "x", count: 16_000)) }
            var server = try Conversation()
            server.consumes = consumes
            server.receive(client.bytes)
            let updates = server.frames(ofType: 8).filter { $0.stream == 1 }
            #expect(updates.isEmpty != consumes)
        }
    }

    @Test func `T13 more than the window ends the stream or the connection`() throws {
        var client = RawClient()
        client.headers(1, RawClient.get(), ends: false)
        for _ in 0..<5 { client.data(1, String(repeating: "x", count: 16_000)) }
        var server = try Conversation()
        server.consumes = false
        server.receive(client.bytes)
        #expect((server.frames(ofType: 3) + server.frames(ofType: 7)).contains { $0.code == 3 })
    }

    @Test func `T01 rapid reset ends the connection`() throws {
        let (failure, goaway) = try Self.flood(2_000) { client, k in
            client.headers(UInt32(3 + 2 * k), RawClient.get())
            client.frame(3, 0, UInt32(3 + 2 * k), RawClient.word(8))
        }
        #expect(goaway != nil && goaway?.code != 0, "\(String(describing: failure))")
        let few = try Self.flood(500) { client, k in
            client.headers(UInt32(3 + 2 * k), RawClient.get())
            client.frame(3, 0, UInt32(3 + 2 * k), RawClient.word(8))
        }
        #expect(few.0 == nil && few.1 == nil)
    }

    @Test func `T02 making us reset streams ends the connection`() throws {
        let attack: (inout RawClient, Int) -> Void = { client, k in
            client.headers(UInt32(3 + 2 * k), RawClient.get())
            client.frame(8, 0, UInt32(3 + 2 * k), RawClient.word(0))
        }
        let (failure, goaway) = try Self.flood(1_200, attack)
        #expect(failure == .flooded && goaway?.code == 11)
        #expect(try Self.flood(900, attack).0 == nil)
    }

    @Test func `T03 CONTINUATION without end ends the connection`() throws {
        let (failure, goaway) = try Self.flood(40) { client, k in
            client.frame(k == 0 ? 1 : 9, 0, 3, RawClient.block([("x", "y")]))
        }
        #expect(failure == .flooded && goaway?.code == 11)
    }

    @Test func `T07 floods of small frames end the connection`() throws {
        for (count, few, type, payload) in [(150, 90, UInt8(4), [UInt8]()), (10_500, 9_000, 2, [0, 0, 0, 0, 1])] {
            let attack: (inout RawClient, Int) -> Void = { client, k in
                client.frame(type, 0, type == 4 ? 0 : 5, payload)
            }
            let (failure, goaway) = try Self.flood(count, attack)
            #expect(failure == .flooded && goaway?.code == 11, "\(type)")
            #expect(try Self.flood(few, attack).0 == nil, "\(type)")
        }
        let empty = try Self.flood(10_500) { client, k in
            if k == 0 { client.headers(3, RawClient.get(), ends: false) }
            client.data(3, "")
        }
        #expect(empty.0 == .flooded && empty.1?.code == 11)
    }

    @Test func `T07 a budget is refilled with time`() throws {
        var server = try Self.opened([1])
        for round in 0..<4 {
            server.now = Instant(nanoseconds: 1 + UInt64(round) * 10_000_000_000)
            var client = RawClient(continuing: ())
            for _ in 0..<90 { client.frame(4, 0, 0, []) }
            server.receive(client.bytes)
            #expect(server.failure == nil)
        }
    }

    @Test func `T07 acknowledgements that nobody reads end the connection`() throws {
        var server = try Self.opened([1])
        var client = RawClient(continuing: ())
        for _ in 0..<1_100 { client.frame(6, 0, 0, [0, 0, 0, 0, 0, 0, 0, 0]) }
        server.receive(client.bytes)
        #expect(server.failure == .flooded)
    }

    @Test func `PING may come as often as it is answered`() throws {
        let (failure, _) = try Self.flood(5_000) { client, _ in client.frame(6, 0, 0, [0, 0, 0, 0, 0, 0, 0, 1]) }
        #expect(failure == nil)
    }

    @Test func `T14 a drain finishes what came and takes nothing new`() throws {
        var server = try Self.opened([1])
        server.session.announceEnd()
        server.flush()
        #expect(server.frames(ofType: 7).count == 1 && server.frames(ofType: 7).first?.payload[0] == 0x7f)
        var client = RawClient(continuing: ())
        client.headers(3, RawClient.get("/late"))
        server.receive(client.bytes)
        #expect(server.heads.count == 2)
        server.session.drain()
        server.flush()
        #expect(server.frames(ofType: 7).last?.payload[0..<4] == [0, 0, 0, 3])
        client = RawClient(continuing: ())
        client.headers(5, RawClient.get("/later"))
        server.receive(client.bytes)
        #expect(server.heads.count == 2 && server.session.isOpen)
        for stream in [Int32(1), 3] {
            #expect(server.session.respond(status: 204, [UInt8]().span, stream: stream, endsStream: true))
        }
        server.flush()
        #expect(!server.session.isOpen && server.closed == [0, 0])
    }

    @Test func `bytes of another protocol end the connection`() throws {
        var server = try Conversation()
        server.receive(Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
        #expect(server.failure == .protocolError)
    }

    @Test func `no bytes crash a session`() throws {
        var client = RawClient()
        client.headers(1, RawClient.get("/", ("cookie", "a")), ends: false)
        client.data(1, "hello", ends: true)
        client.headers(3, RawClient.get())
        var random = SystemRandomNumberGenerator()
        for _ in 0..<2_000 {
            var bytes = client.bytes
            for _ in 0..<3 { bytes[Int.random(in: 24..<bytes.count, using: &random)] = UInt8.random(in: 0...255) }
            var server = try Conversation()
            server.receive(bytes)
            #expect(server.heads.count + server.refused.count <= 6)
        }
    }
}
