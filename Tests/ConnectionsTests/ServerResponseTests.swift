import Connections
import HTTP
import Testing

// Responses to a client: their framing, what goes out at once, and what waits.
@testable import Bytes

private let get = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
private let old = "GET /a HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n"

private func numbered(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) } }

struct ServerResponseTests {
    @Test func `a response of known length goes on as it came`() throws {
        var side = try ServerSide()
        _ = try side.receive(get)
        try side.sendHead("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\n")
        side.sendBody(Array("hello".utf8))
        let goesOn = side.endResponse()
        let text = side.deliveredText()
        #expect(goesOn && text == "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello")
    }

    @Test func `a response until close is chunked for a client that can be kept`() throws {
        var side = try ServerSide()
        _ = try side.receive(get)
        try side.sendHead("HTTP/1.1 200 OK\r\n\r\n")
        side.sendBody(Array("hello".utf8))
        let goesOn = side.endResponse()
        let text = side.deliveredText()
        #expect(goesOn)
        #expect(text == "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    }

    @Test func `a chunked response ends with the connection for a client of HTTP 1.0`() throws {
        var side = try ServerSide()
        _ = try side.receive(old)
        try side.sendHead("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        side.sendBody(Array("hello".utf8))
        let goesOn = side.endResponse()
        let text = side.deliveredText()
        #expect(!goesOn && text == "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello")
    }

    @Test func `a client of HTTP 1.0 that asked for it is kept and told so`() throws {
        var side = try ServerSide()
        _ = try side.receive(old)
        try side.sendHead("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        let goesOn = side.endResponse()
        let text = side.deliveredText()
        #expect(goesOn && text.contains("Connection: keep-alive\r\n"))
    }

    @Test func `a response before the end of the request is the last`() throws {
        var side = try ServerSide()
        _ = try side.receive("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")
        try side.sendHead("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        let goesOn = side.endResponse()
        let text = side.deliveredText()
        #expect(!goesOn && text.contains("Connection: close\r\n"))
    }

    @Test func `interim responses go to clients that know them`() throws {
        var new = try ServerSide()
        _ = try new.receive(get)
        try new.sendInterim("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        let hints = new.deliveredText()
        #expect(hints == "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        var side = try ServerSide()
        _ = try side.receive(old)
        try side.sendInterim("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        let nothing = side.deliveredText()
        #expect(nothing == "")
    }

    @Test func `a small piece waits for the flush`() throws {
        var side = try ServerSide()
        _ = try side.receive(get)
        try side.sendHead("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        side.sendBody(numbered(100))
        let early = side.peer.read()
        #expect(early.isEmpty)
        let all = side.delivered()
        #expect(Array(all.suffix(100)) == numbered(100))
    }

    @Test func `a large piece goes out at once and only the rest waits`() throws {
        var side = try ServerSide(sendBuffer: 64 * 1024)
        _ = try side.receive(get)
        let body = numbered(1 << 20)
        try side.sendHead("HTTP/1.1 200 OK\r\nContent-Length: \(body.count)\r\n\r\n")
        side.sendBody(body)
        let waiting = side.connection.outputCount
        #expect(waiting > 0 && waiting < body.count)
        var all = side.peer.read()
        let direct = all.count
        #expect(direct > 0 && direct + waiting > body.count)
        all += side.delivered()
        let head = all.count - body.count
        #expect(Array(all.suffix(body.count)) == body && head == direct + waiting - body.count)
    }

    @Test func `a large piece behind others keeps its place`() throws {
        var side = try ServerSide(sendBuffer: 32 * 1024)
        _ = try side.receive(get)
        let pieces = [numbered(200_000), numbered(10), numbered(50_000), numbered(3)]
        try side.sendHead("HTTP/1.1 200 OK\r\nContent-Length: \(pieces.map(\.count).reduce(0, +))\r\n\r\n")
        for piece in pieces { side.sendBody(piece) }
        _ = side.endResponse()
        let all = side.delivered()
        let wanted = pieces.flatMap(\.self)
        #expect(Array(all.suffix(wanted.count)) == wanted)
    }

    @Test(arguments: [ConnectionLimits.direct - 1, ConnectionLimits.direct, 300_000])
    func `chunks are framed the same whether they went at once or waited`(count: Int) throws {
        var side = try ServerSide(sendBuffer: 32 * 1024)
        _ = try side.receive(get)
        let body = numbered(count)
        try side.sendHead("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        side.sendBody(body)
        side.sendBody(body)
        let goesOn = side.endResponse()
        let all = side.delivered()
        let chunk = Array("\(String(count, radix: 16))\r\n".utf8) + body + Array("\r\n".utf8)
        let wanted = chunk + chunk + Array("0\r\n\r\n".utf8)
        #expect(goesOn && Array(all.suffix(wanted.count)) == wanted)
    }

    @Test func `written bytes are counted once, at once or later`() throws {
        var side = try ServerSide(sendBuffer: 32 * 1024)
        _ = try side.receive(get)
        try side.sendHead("HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n")
        side.sendBody(numbered(300_000))
        let all = side.delivered()
        let sent = side.connection.takeSent(), again = side.connection.takeSent()
        #expect(sent == UInt64(all.count) && again == 0)
    }

    @Test func `a queue that went out gives its block back`() throws {
        var side = try ServerSide()
        _ = try side.receive(get)
        try side.sendHead("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        let result = side.flush()
        let (left, blocks) = (side.connection.outputCount, side.pool.count)
        #expect(result == "emptied" && left == 0 && blocks == 1)
    }

    @Test func `a client that is gone breaks the flush`() throws {
        var side = try ServerSide()
        _ = try side.receive(get)
        side.peer.vanish()
        try side.sendHead("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        let result = side.flush()
        #expect(result == "broken")
    }
}
