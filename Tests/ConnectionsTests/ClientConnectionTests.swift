import Connections
import HTTP
import Reactor
import Testing
import Transport

// Requests to an endpoint and its answers, and when the connection may serve again.
@testable import Bytes

struct ClientRequestTests {
    @Test func `nothing is sent before the connection stands`() throws {
        var side = try ClientSide(isConnected: false)
        side.request()
        let early = side.flush()
        let isConnecting = side.connection.isConnecting
        #expect(early == "blocked" && isConnecting)
        let isGood = side.connection.note(.writable)
        let sent = side.delivered()
        #expect(isGood && String(decoding: sent, as: UTF8.self) == "GET / HTTP/1.1\r\n\r\n")
        let hasSent = side.connection.hasSent
        #expect(hasSent)
    }

    @Test func `a large body waits while the connection is being made`() throws {
        var side = try ClientSide(isConnected: false)
        let body = [UInt8](repeating: 7, count: 100_000)
        side.begin(.length)
        side.sendBody(body)
        side.endRequest()
        let waiting = side.connection.outputCount
        #expect(waiting > body.count)
        _ = side.connection.note(.writable)
        let sent = side.delivered()
        #expect(Array(sent.suffix(body.count)) == body)
    }

    @Test(arguments: [BodyFraming.length, .chunked])
    func `a large piece goes out at once, and the rest waits in its place`(framing: BodyFraming) throws {
        var side = try ClientSide(sendBuffer: 32 * 1024)
        let body = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        side.begin(framing)
        side.sendBody(body)
        let waiting = side.connection.outputCount
        #expect(waiting > 0 && waiting < body.count)
        side.sendBody([1, 2, 3])
        side.endRequest()
        let sent = side.delivered()
        let whole =
            framing == .chunked
            ? Array("493e0\r\n".utf8) + body + Array("\r\n3\r\n".utf8) + [1, 2, 3] + Array("\r\n0\r\n\r\n".utf8)
            : body + [1, 2, 3]
        #expect(Array(sent.suffix(whole.count)) == whole && sent.count == whole.count + 18)
        let counted = side.connection.takeSent()
        #expect(counted == UInt64(sent.count))
    }

    @Test func `an answer can still be read when nothing more can be sent`() throws {
        var side = try ClientSide(sendBuffer: 32 * 1024)
        side.begin(.length)
        side.sendBody([UInt8](repeating: 1, count: 300_000))
        try side.peer.write("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
        side.connection.stopSending(&side.pool)
        let left = side.connection.outputCount
        #expect(left == 0)
        let said = side.events()
        let isReusable = side.connection.isReusable
        #expect(said == ["413", "end"] && !isReusable)
    }
}

struct ClientResponseTests {
    @Test func `an answer of known length ends by itself`() throws {
        var side = try ClientSide()
        side.request()
        _ = side.delivered()
        let first = try side.receive("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
        #expect(first == ["200", "body he"])
        let rest = try side.receive("llo")
        #expect(rest == ["body llo", "end"])
        let received = side.connection.takeReceived()
        #expect(received == 43)
    }

    @Test func `a head in pieces is one head`() throws {
        var side = try ClientSide(input: 64)
        side.request()
        let text = "HTTP/1.1 200 OK\r\nX: \(String(repeating: "v", count: 300))\r\nContent-Length: 0\r\n\r\n"
        var said: [String] = []
        for byte in text.utf8 { said += try side.receive(String(UnicodeScalar(byte))) }
        #expect(said == ["200", "end"])
    }

    @Test func `chunks are data`() throws {
        var side = try ClientSide()
        side.request()
        let said = try side.receive("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        #expect(said == ["200", "body abc", "end"])
    }

    @Test func `the end of the stream ends only what has no other end`() throws {
        var open = try ClientSide()
        open.request()
        _ = try open.receive("HTTP/1.1 200 OK\r\n\r\nhello")
        let whole = open.receiveEnd()
        let isReusable = open.connection.isReusable
        #expect(whole == ["end of stream"] && !isReusable)
        for text in [
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            "HTTP/1.1 200 OK\r\nContent-Le", "",
        ] {
            var side = try ClientSide()
            side.request()
            _ = try side.receive(text)
            let said = side.receiveEnd()
            #expect(said == ["cut short"], "\(text)")
        }
    }

    @Test func `an answer to HEAD has no body whatever it says`() throws {
        var side = try ClientSide()
        side.request(isHEAD: true)
        _ = side.delivered()
        let said = try side.receive("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
        let isReusable = side.connection.isReusable
        #expect(said == ["200", "end"] && isReusable)
    }

    @Test func `interim answers come before the final one`() throws {
        var side = try ClientSide()
        side.request()
        let said = try side.receive(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
                + "HTTP/1.1 204 No Content\r\n\r\n")
        #expect(said == ["100", "103", "204", "end"])
    }

    @Test func `a flood of interim answers is not an answer`() throws {
        var side = try ClientSide()
        side.request()
        let interim = "HTTP/1.1 103 Early Hints\r\n\r\n"
        let said = try side.receive(String(repeating: interim, count: ConnectionLimits.interimResponses + 1))
        #expect(said == [String](repeating: "103", count: ConnectionLimits.interimResponses) + ["malformed statusLine"])
    }

    @Test func `interim answers are counted for each request`() throws {
        var side = try ClientSide()
        let interim = String(repeating: "HTTP/1.1 103 Early Hints\r\n\r\n", count: ConnectionLimits.interimResponses)
        for _ in 0..<2 {
            side.request()
            _ = side.delivered()
            let said = try side.receive(interim + "HTTP/1.1 204 No Content\r\n\r\n")
            #expect(said.last == "end" && said.count == ConnectionLimits.interimResponses + 2)
            side.connection.rest()
        }
    }

    @Test(arguments: [
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "220 smtp.example ready\r\n", "HTTP/1.1 99 X\r\n\r\n",
    ])
    func `what is no answer is malformed`(text: String) throws {
        var side = try ClientSide()
        side.request()
        let said = try side.receive(text)
        #expect(said.count == 1 && said[0].hasPrefix("malformed"))
    }
}

struct ClientReuseTests {
    @Test func `a connection whose messages both ended rests and serves again`() throws {
        var side = try ClientSide()
        for round in 0..<3 {
            let said = try side.exchange()
            let (isReusable, isReused) = (side.connection.isReusable, side.connection.isReused)
            #expect(said == ["200", "body ok", "end"] && isReusable && isReused == (round > 0))
            side.connection.rest()
            let isIdle = side.connection.isIdle
            #expect(isIdle)
        }
        let requests = side.connection.requests
        #expect(requests == 3)
    }

    @Test func `bytes behind an answer belong to nobody`() throws {
        var side = try ClientSide()
        side.request()
        _ = side.delivered()
        let said = try side.receive("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n")
        let isReusable = side.connection.isReusable
        #expect(said == ["200", "body ok", "end"] && !isReusable)
    }

    @Test func `bytes behind an answer that filled the input are not left for the next request`() throws {
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        var side = try ClientSide(input: answer.utf8.count)
        side.request()
        _ = side.delivered()
        let said = try side.receive(answer + "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")
        let isReusable = side.connection.isReusable
        #expect(said == ["200", "body ok", "end"] && !isReusable)
    }

    @Test(arguments: ["Connection: close\r\nContent-Length: 0\r\n", "Content-Length: 0\r\nConnection: x, CLOSE\r\n"])
    func `an endpoint that says goodbye is not asked again`(fields: String) throws {
        var side = try ClientSide()
        side.request()
        _ = side.delivered()
        let said = try side.receive("HTTP/1.1 200 OK\r\n\(fields)\r\n")
        let isReusable = side.connection.isReusable
        #expect(said == ["200", "end"] && !isReusable)
    }

    @Test func `an answer before the end of the request spoils the connection`() throws {
        var side = try ClientSide()
        side.begin(.length)
        _ = side.delivered()
        let said = try side.receive("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        let isReusable = side.connection.isReusable
        #expect(said == ["400", "end"] && !isReusable)
    }

    @Test func `a request that is still on its way spoils it too`() throws {
        var side = try ClientSide()
        side.request()
        let said = try side.receive("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        let isReusable = side.connection.isReusable
        #expect(said == ["200", "end"] && !isReusable)
    }

    @Test func `a peer that ended its side is not asked again`() throws {
        var side = try ClientSide()
        side.request()
        _ = side.delivered()
        try side.peer.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        let said = side.receiveEnd()
        let isReusable = side.connection.isReusable
        #expect(said == ["200", "end"] && !isReusable)
    }

    @Test func `what was received and sent is told for each request`() throws {
        var side = try ClientSide()
        _ = try side.exchange()
        side.connection.rest()
        side.request()
        let (hasSent, hasReceived) = (side.connection.hasSent, side.connection.hasReceived)
        #expect(!hasSent && !hasReceived)
        _ = side.flush()
        let hasSentNow = side.connection.hasSent
        #expect(hasSentNow)
    }
}

struct ClientConnectingTests {
    @Test func `a refused attempt is told when the socket is`() throws {
        let loopback = try #require(SocketAddress("127.0.0.1:0"))
        // Bound and not listening: nobody else gets the port, and whoever knocks is refused.
        let bound = try Socket.listen(loopback, backlog: 0, isShared: false)
        guard let address = bound.localAddress else { throw PeerFailed() }
        do throws(SocketError) {
            let socket = try Socket.connect(address)
            _ = socket.waitWritable(milliseconds: 2000)
            var connection = ClientConnection(connecting: Stream(socket), endpoint: 0)
            let isGood = connection.note(.refused)
            #expect(!isGood)
        } catch {
            #expect(error.text == "Connection refused")
        }
    }

    @Test func `an event that says nothing about the attempt changes nothing`() throws {
        var side = try ClientSide(isConnected: false)
        let isGood = side.connection.note(.readable)
        let isConnecting = side.connection.isConnecting
        #expect(isGood && isConnecting)
    }
}
