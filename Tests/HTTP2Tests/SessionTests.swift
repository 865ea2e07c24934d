// Answers, windows, budgets and the end of a connection.
import Bytes
import HTTP
import HTTP2
import SeededRandom
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
        let lines = "Content-Type: text/plain\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
        let done = server.respond(200, lines, stream: 1, ends: false)
        let again = server.respond(200, lines, stream: 1, ends: false)
        #expect(done && !again)
        server.flush()
        #expect(server.frames(ofType: 1).count == 1 && server.frames(ofType: 0).isEmpty)
        let part = server.send(Array("hello".utf8), stream: 1)
        server.flush()
        #expect(part && server.frames(ofType: 0).map(\.payload) == [Array("hello".utf8)])
        let end = server.session.finish(stream: 1, trailers: Array("grpc-status: 0\r\n".utf8))
        server.flush()
        #expect(end && server.frames(ofType: 1).last?.flags == 5)
        let late = server.send([1], stream: 1)
        #expect(!late)
    }

    @Test func `an interim answer goes out before the other`() throws {
        var server = try Self.opened([1])
        server.fields.begin(status: 103)
        server.session.inform(server.fields, stream: 1)
        let done = server.respond(204, stream: 1, ends: true)
        server.flush()
        #expect(done && server.frames(ofType: 1).map(\.flags) == [4, 5])
    }

    @Test func `an answer waits for the client's window`() throws {
        var server = try Self.opened([1])
        _ = server.respond(200, stream: 1, ends: false)
        _ = server.send([UInt8](repeating: 7, count: 90_000), stream: 1)
        server.flush()
        #expect(server.frames(ofType: 0).reduce(0) { $0 + $1.payload.count } == 65_535)
        #expect(server.session.waiting(stream: 1) == 90_000 - 65_535 && server.drained.isEmpty)
        var client = RawClient(continuing: ())
        for stream in [UInt32(0), 1] { client.frame(8, 0, stream, RawClient.word(10_000)) }
        server.receive(client.bytes)
        #expect(server.session.waiting == 14_465 && server.drained == [1])
        let ended = server.session.finish(stream: 1)
        client = RawClient(continuing: ())
        for stream in [UInt32(0), 1] { client.frame(8, 0, stream, RawClient.word(20_000)) }
        server.receive(client.bytes)
        #expect(ended && server.frames(ofType: 0).reduce(0) { $0 + $1.payload.count } == 90_000)
        #expect(server.frames(ofType: 0).last?.flags == 1 && server.session.waiting == 0)
    }

    @Test func `T05 a stream of which nothing is taken is reset`() throws {
        var server = try Self.opened([1, 3])
        for stream in [Int32(1), 3] { _ = server.respond(200, stream: stream, ends: false) }
        _ = server.send([UInt8](repeating: 7, count: 70_000), stream: 1)
        server.flush()
        server.session.resetStalled(after: 10, now: Instant(nanoseconds: 10))
        server.flush()
        #expect(server.closed.isEmpty)
        server.session.resetStalled(after: 10, now: Instant(nanoseconds: 11))
        server.flush()
        #expect(server.closed == [8] && server.frames(ofType: 3).map(\.stream) == [1] && server.session.waiting == 0)
    }

    @Test func `an answer may end before the request does`() throws {
        var client = RawClient()
        client.headers(1, RawClient.get(), ends: false)
        client.headers(3, RawClient.get())
        var server = try Conversation()
        server.receive(client.bytes)
        for stream in [Int32(1), 3] { _ = server.respond(401, stream: stream, ends: true) }
        server.flush()
        #expect(server.answered == [1])
        server.session.reset(1, code: 0)
        server.flush()
        #expect(server.frames(ofType: 3).map(\.code) == [0] && server.closed == [0, 0])
        // What was on its way meanwhile is let go, and nobody is told off.
        client = RawClient(continuing: ())
        client.data(1, "x", ends: true)
        client.headers(5, RawClient.get())
        server.receive(client.bytes)
        #expect(server.failure == nil && server.heads.count == 3 && server.bodies.isEmpty)
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

    @Test func `T12 T13 what the rules of the protocol forbid ends the connection`() throws {
        let breaches: [(String, UInt32, (inout RawClient) -> Void)] = [
            ("DATA after the end", 5, { $0.data(1, "x") }),
            ("HEADERS after the end", 5, { $0.headers(1, [("x", "y")]) }),
            ("an even number", 1, { $0.headers(4, RawClient.get()) }),
            ("a number that was left out", 1, { $0.headers(3, RawClient.get()) }),
            ("no increment of the connection's window", 1, { $0.frame(8, 0, 0, RawClient.word(0)) }),
            ("no increment of a stream's window", 1, { $0.frame(8, 0, 1, RawClient.word(0)) }),
            ("a window that is too large", 3, { $0.frame(8, 0, 0, RawClient.word(0x7fff_ffff)) }),
            ("DATA on no stream", 1, { $0.data(0, "x") }),
            ("DATA on a stream that never was", 1, { $0.data(9, "x") }),
            ("a frame that is too large", 6, { $0.data(1, String(repeating: "x", count: 16_385)) }),
        ]
        for (name, code, breach) in breaches {
            var server = try Self.opened([1, 5])
            var client = RawClient(continuing: ())
            breach(&client)
            server.receive(client.bytes)
            #expect(server.failure == .protocolError && server.frames(ofType: 7).last?.code == code, "\(name)")
            let isOpen = server.session.isOpen
            #expect(!isOpen, "\(name)")
        }
    }

    @Test func `T01 rapid reset ends the connection`() throws {
        let attack: (inout RawClient, Int) -> Void = { client, k in
            client.headers(UInt32(3 + 2 * k), RawClient.get())
            client.frame(3, 0, UInt32(3 + 2 * k), RawClient.word(8))
        }
        let (failure, goaway) = try Self.flood(1_001, attack)
        #expect(failure == .flooded && goaway?.code == 11)
        let few = try Self.flood(999, attack)
        #expect(few.0 == nil && few.1 == nil)
    }

    @Test func `T02 making us reset streams ends the connection`() throws {
        // Windows that are too large, and lengths that are wrong.
        let attacks: [(inout RawClient, Int) -> Void] = [
            { client, k in
                client.headers(UInt32(3 + 2 * k), RawClient.get(), ends: false)
                client.frame(8, 0, UInt32(3 + 2 * k), RawClient.word(0x7fff_ffff))
            },
            { client, k in
                client.headers(UInt32(3 + 2 * k), RawClient.get("/", ("content-length", "5")), ends: false)
                client.data(UInt32(3 + 2 * k), "four", ends: true)
            },
        ]
        for attack in attacks {
            let (failure, goaway) = try Self.flood(1_100, attack)
            #expect(failure == .flooded && goaway?.code == 11)
            let (none, _) = try Self.flood(900, attack)
            #expect(none == nil)
        }
    }

    @Test func `T03 CONTINUATION without end ends the connection`() throws {
        let block = RawClient.block(RawClient.get("/" + String(repeating: "x", count: 200)))
        for (count, isTaken) in [(56, true), (128, true), (129, false)] {
            let first = block.count - count
            let (failure, goaway) = try Self.flood(count + 1) { client, k in
                let part = k == 0 ? block[..<first] : block[first + k - 1..<first + k]
                client.frame(k == 0 ? 1 : 9, k == 0 ? 1 : k == count ? 4 : 0, 3, Array(part))
            }
            #expect((failure == nil) == isTaken && goaway?.code == (isTaken ? nil : 11), "\(count)")
        }
    }

    @Test func `T07 floods of small frames end the connection`() throws {
        for (count, few, type, payload) in [(150, 90, UInt8(4), [UInt8]()), (10_500, 9_000, 2, [0, 0, 0, 0, 1])] {
            let attack: (inout RawClient, Int) -> Void = { client, k in
                client.frame(type, 0, type == 4 ? 0 : 5, payload)
            }
            let (failure, goaway) = try Self.flood(count, attack)
            #expect(failure == .flooded && goaway?.code == 11, "\(type)")
            let (none, _) = try Self.flood(few, attack)
            #expect(none == nil, "\(type)")
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
            let done = server.respond(204, stream: stream, ends: true)
            #expect(done)
        }
        server.flush()
        #expect(!server.session.isOpen && server.closed == [0, 0] && server.failure == nil)
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
        let seed: UInt64 = 0x9113
        var random = SeededGenerator(seed: seed)
        for _ in 0..<2_000 {
            var bytes = client.bytes
            for _ in 0..<3 {
                bytes[Int.random(in: 24..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            var server = try Conversation()
            server.receive(bytes)
            #expect(server.heads.count + server.refused.count <= 6, "seed \(seed)")
        }
    }
}
