// Heads, bodies and trailers of HTTP/2 as the rest of the gateway sees them.
import Bytes
import HTTP
import HTTP2
import SeededRandom
import Testing

struct MessageTests {
    private static func heads(_ fields: [(String, String)], ends: Bool = true) throws -> (
        [ReadHead], [String], [SentFrame]
    ) {
        var client = RawClient()
        client.headers(1, fields, ends: ends)
        var server = try Conversation()
        server.receive(client.bytes)
        return (server.heads, server.refused, server.frames(ofType: 3))
    }
    private static func parsed(_ text: String) -> ReadHead? {
        var head = RequestHead()
        guard case .complete = head.parse(Array(text.utf8).span, limits: HTTPLimits()) else { return nil }
        return ReadHead(head)
    }

    @Test func `a request is the same head as in HTTP 1`() throws {
        let (heads, refused, _) = try Self.heads(RawClient.get("/x?y=%20", ("accept", "*/*"), ("cookie", "a=1")))
        #expect(refused.isEmpty && heads.count == 1)
        let text = "GET /x?y=%20 HTTP/1.1\r\nhost: a.test\r\naccept: */*\r\ncookie: a=1\r\n\r\n"
        #expect(heads.first == Self.parsed(text) && heads.first != nil)
    }

    @Test func `generated requests are the same heads in both versions`() throws {
        let seed: UInt64 = 0x1d0c_9113
        var random = SeededGenerator(seed: seed)
        let names = [
            "accept", "x-a", "authorization", "cookie", "x_b", "user-agent", "forwarded", "te", "content-type",
        ]
        let paths = ["/", "/a/../b", "/%41", "/a?b", "/a%2fb", "*", "/..", "/%", "//x", "/a;b"]
        for _ in 0..<400 {
            let method = ["GET", "POST", "OPTIONS", "PURGE"].randomElement(using: &random)!
            let host = ["a.test", "A.test:80", "[::1]", "a..b", "u@h"].randomElement(using: &random)!
            let path = paths.randomElement(using: &random)!
            var fields = [(String, String)]()
            for _ in 0..<Int.random(in: 0..<8, using: &random) {
                let name = names.randomElement(using: &random)!
                if name == "cookie" && fields.contains(where: { $0.0 == name }) { continue }
                fields.append((name, name == "te" ? "trailers" : "v\(Int.random(in: 0..<99, using: &random))"))
            }
            let text =
                "\(method) \(path) HTTP/1.1\r\nhost: \(host)\r\n"
                + fields.map { "\($0.0): \($0.1)\r\n" }.joined() + "\r\n"
            let pseudo = [(":method", method), (":scheme", "http"), (":authority", host), (":path", path)]
            let (heads, refused, _) = try Self.heads(pseudo + fields)
            #expect(heads.first == Self.parsed(text), "\(text) \(refused), seed \(seed)")
            #expect(heads.count + refused.count == 1, "\(text), seed \(seed)")
        }
    }

    @Test func `bytes may come in any pieces`() throws {
        var client = RawClient()
        client.headers(1, RawClient.get("/1", ("content-length", "5")), ends: false)
        client.data(1, "hel")
        client.data(1, "lo", ends: true)
        client.headers(3, RawClient.get("/2"), ends: false)
        client.data(3, "x")
        client.headers(3, [("grpc-status", "0")])
        for cut in 0..<client.bytes.count {
            var server = try Conversation()
            server.receive(Array(client.bytes[..<cut]))
            server.receive(Array(client.bytes[cut...]))
            #expect(server.heads.map(\.path) == ["/1", "/2"] && server.refused.isEmpty, "cut at \(cut)")
            #expect(server.heads.map(\.framing) == [.length, .chunked])
            #expect(server.bodies == [1: "hello", 3: "x"] && server.ended == [1, 3])
            #expect(server.trailers == ["grpc-status: 0\r\n"])
        }
        var server = try Conversation()
        for byte in client.bytes { server.receive([byte]) }
        #expect(server.bodies == [1: "hello", 3: "x"] && server.heads.count == 2)
    }

    @Test func `cookie crumbs are joined where the first one stood`() throws {
        let (heads, _, _) = try Self.heads(RawClient.get("/", ("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")))
        #expect(heads.first?.fields == ["host host=a.test", "cookie cookie=a=1; b=2", "other x=y"])
    }

    @Test func `T05 crumbs are counted before they are joined`() throws {
        let crumb = ("cookie", "a")
        let (many, refusals, _) = try Self.heads(RawClient.get() + Array(repeating: crumb, count: 256))
        #expect(many.count == 1 && refusals.isEmpty)
        let (none, refused, _) = try Self.heads(RawClient.get() + Array(repeating: crumb, count: 257))
        #expect(none.isEmpty && refused == ["header_too_large"])
    }

    @Test func `T04 fields are counted as they are decoded`() throws {
        // One large field goes into the table, and comes back for one byte each time.
        var client = RawClient()
        let value = String(repeating: "v", count: 3_000)
        var block = RawClient.block(RawClient.get())
        let indexed: [UInt8] = [0x40] + RawClient.block([("x", value)]).dropFirst()
        block += indexed
        // Index 62: what was put into the table last.
        block += [UInt8](repeating: 0xbe, count: 2_000)
        client.frame(1, 5, 1, block)
        var server = try Conversation()
        server.receive(client.bytes)
        #expect(server.heads.isEmpty && server.refused == ["header_too_large"] && server.failure == nil)
    }

    @Test func `too many fields are refused`() throws {
        let (none, refused, _) = try Self.heads(RawClient.get() + Array(repeating: ("x", "y"), count: 101))
        #expect(none.isEmpty && refused == ["header_too_large"])
    }

    @Test(arguments: [
        [("host", "b.test")], [("transfer-encoding", "chunked")], [("connection", "close")], [("upgrade", "x")],
        [("keep-alive", "1")], [("proxy-connection", "x")], [("te", "gzip")], [("X-Upper", "a")], [("a b", "c")],
        [("x", "a\r\nb: c")], [("x", "a\0b")], [("x", " a")], [("x", "a ")], [("x", "\ta")], [("", "a")],
        [(":path", "/again")], [("x", "y"), (":authority", "late")], [(":odd", "x")], [("a:b", "c")],
        [("content-length", "1")], [("content-length", "0"), ("content-length", "0")], [("content-length", "+1")],
        [(":protocol", "websocket")], [("host", "a.test"), ("host", "a.test")], [("host", "")],
    ])
    func `T06 to T11 what others could misread resets the stream`(more: [(String, String)]) throws {
        let (heads, refused, resets) = try Self.heads(RawClient.get() + more)
        #expect(heads.isEmpty && refused.count >= 1, "\(more)")
        #expect(resets.count == 1 && resets.first?.code == 1, "\(more): \(resets)")
    }

    @Test(arguments: [
        [(":method", "GET"), (":scheme", "http"), (":path", "/")],
        [(":method", "GET"), (":scheme", "http"), (":authority", "a")],
        [(":method", "GET"), (":authority", "a"), (":path", "/")],
        [(":scheme", "http"), (":authority", "a"), (":path", "/")],
        [(":method", "GET"), (":scheme", "ftp"), (":authority", "a"), (":path", "/")],
        [(":method", "G T"), (":scheme", "http"), (":authority", "a"), (":path", "/")],
        [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "")],
        [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "x")],
        [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "http://b/")],
        [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/a b")],
        [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/ HTTP/1.1\r\nx: y")],
        [(":method", "GET"), (":scheme", "http"), (":authority", "a\r\nx: y"), (":path", "/")],
        [(":method", "GET"), (":scheme", "http"), (":authority", "u@a"), (":path", "/")],
        [(":method", "CONNECT"), (":scheme", "http"), (":authority", "a:1"), (":path", "/")],
    ])
    func `T11 pseudo fields that make no request reset the stream`(fields: [(String, String)]) throws {
        let (heads, refused, resets) = try Self.heads(fields)
        #expect(heads.isEmpty && refused.count >= 1, "\(fields)")
        #expect(resets.count == 1 && resets.first?.code == 1, "\(fields)")
    }

    @Test func `T15 an extended CONNECT is the request that a WebSocket has in HTTP 1`() throws {
        let fields = [
            (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":authority", "a.test"),
            (":path", "/x?y"), ("sec-websocket-version", "13"),
        ]
        let (heads, refused, _) = try Self.heads(fields, ends: false)
        let text =
            "GET /x?y HTTP/1.1\r\nhost: a.test\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
            + "sec-websocket-version: 13\r\n\r\n"
        #expect(refused.isEmpty && heads.first == Self.parsed(text) && heads.first != nil)
        for k in 2..<5 {
            var less = fields
            less.remove(at: k)
            #expect(try Self.heads(less, ends: false).0.isEmpty, "without \(fields[k].0)")
        }
        for name in ["h2c", "WebSocket", "connect-udp", "websockets"] {
            var other = fields
            other[1].1 = name
            let (heads, refused, resets) = try Self.heads(other, ends: false)
            #expect(heads.isEmpty && refused == ["upgrade_unsupported"] && resets.isEmpty, "\(name)")
        }
    }

    @Test func `T10 a body of another length resets the stream`() throws {
        for text in ["hell", "hello!"] {
            var client = RawClient()
            client.headers(1, RawClient.get("/", ("content-length", "5")), ends: false)
            client.data(1, text, ends: true)
            var server = try Conversation()
            server.receive(client.bytes)
            #expect(server.heads.count == 1 && server.closed == [1] && server.frames(ofType: 3).first?.code == 1)
        }
    }

    @Test func `T10 a length is asked of its own stream, until that has ended`() throws {
        var client = RawClient()
        for stream in [UInt32(1), 3, 5] {
            client.headers(stream, RawClient.get("/", ("content-length", "5")), ends: false)
            client.data(stream, "hel")
        }
        client.data(3, "lo!")
        client.data(1, "lo", ends: true)
        client.frame(3, 0, 5, RawClient.word(8))
        client.headers(7, RawClient.get("/", ("content-length", "0")), ends: false)
        client.data(7, "", ends: true)
        client.headers(9, RawClient.get("/", ("content-length", "3")), ends: false)
        client.headers(9, [("x", "y")])
        var server = try Conversation()
        server.receive(client.bytes)
        #expect(server.bodies == [1: "hello", 3: "hel", 5: "hel"] && server.ended == [1, 7])
        let resets = server.frames(ofType: 3)
        #expect(resets.map(\.stream) == [3, 9] && resets.map(\.code) == [1, 1])
        #expect(server.refused == ["http2_message_invalid", "http2_message_invalid"] && server.failure == nil)
    }

    @Test func `T10 something behind trailers resets the stream`() throws {
        var client = RawClient()
        client.headers(1, RawClient.get(), ends: false)
        client.headers(1, [("x", "y")], ends: false)
        client.data(1, "more", ends: true)
        var server = try Conversation()
        server.receive(client.bytes)
        #expect(server.trailers.isEmpty && server.refused == ["http2_message_invalid"])
        #expect(server.frames(ofType: 3).map(\.code) == [1])
    }

    @Test func `what HTTP 2 forbids has one reason`() throws {
        for field in [("transfer-encoding", "chunked"), ("Upper", "x"), (":again", "x")] {
            let (_, refused, _) = try Self.heads(RawClient.get("/", field))
            #expect(refused == ["http2_message_invalid"])
        }
    }
}
