import Connections
import HTTP
import Testing

// Requests out of a client's stream: heads, bodies, pipelines, and what becomes of bodies that nobody wants.
@testable import Bytes

private let get = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
private let second = "GET /b HTTP/1.1\r\nHost: x\r\n\r\n"
private func post(_ length: Int, _ more: String = "") -> String {
    "POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: \(length)\r\n\(more)\r\n"
}
private let chunked = "POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

struct ServerRequestTests {
    @Test func `a head is a whole request when it has no body`() throws {
        var side = try ServerSide()
        let said = try side.receive(get)
        #expect(said == ["GET /a", "paused"])
        let (isComplete, requests) = (side.connection.requestIsComplete, side.connection.requests)
        #expect(isComplete && requests == 1)
    }

    @Test func `a head that comes byte by byte is the same head`() throws {
        var side = try ServerSide()
        let bytes = Array(get.utf8)
        for i in 0..<bytes.count - 1 {
            let said = try side.receive([bytes[i]])
            let hasPart = side.connection.hasPartOfHead
            #expect(said == [] && hasPart, "byte \(i)")
        }
        let said = try side.receive([bytes[bytes.count - 1]])
        #expect(said == ["GET /a", "paused"])
    }

    @Test func `a pipelined head waits for the answer before it`() throws {
        var side = try ServerSide()
        let first = try side.receive(get + second + second)
        #expect(first == ["GET /a", "paused"])
        for rest in [["GET /b", "paused"], ["GET /b", "paused"], []] {
            let isWaiting = !side.connection.canProceed
            #expect(isWaiting)
            let goesOn = side.answer(closing: false)
            #expect(goesOn)
            let said = side.events()
            #expect(said == rest)
        }
    }

    @Test func `a body of known length ends where it should, and the next request follows`() throws {
        var side = try ServerSide()
        let said = try side.receive(post(5) + "hello" + second)
        #expect(said == ["POST /p", "body hello", "end", "paused"])
        _ = side.answer(closing: false)
        let next = side.events()
        #expect(next == ["GET /b", "paused"])
    }

    @Test func `a chunked body is its data`() throws {
        var side = try ServerSide()
        let said = try side.receive(chunked + "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n")
        #expect(said == ["POST /p", "body abc", "body de", "end", "paused"])
    }

    @Test func `a body in pieces is told of as it comes`() throws {
        var side = try ServerSide()
        let head = try side.receive(post(6))
        let isReading = side.connection.isReadingBody
        #expect(head == ["POST /p"] && isReading)
        let first = try side.receive("abc")
        #expect(first == ["body abc"])
        let last = try side.receive("def")
        #expect(last == ["body def", "end", "paused"])
    }

    @Test func `bytes that are no request are malformed`() throws {
        var side = try ServerSide()
        let said = try side.receive("GET  /two-blanks HTTP/1.1\r\n\r\n")
        #expect(said.count == 1 && said[0].hasPrefix("malformed"))
    }

    @Test func `a head larger than the input is read to its end`() throws {
        var side = try ServerSide(input: 256)
        let field = "X: " + String(repeating: "v", count: 700) + "\r\n"
        let said = try side.receive("GET /a HTTP/1.1\r\nHost: x\r\n\(field)\r\n")
        #expect(said == ["GET /a", "paused"])
    }

    @Test func `the end of the client's side is told once the bytes are used up`() throws {
        var side = try ServerSide()
        try side.peer.write(get)
        side.peer.end()
        side.connection.note(.ended)
        let said = side.events()
        #expect(said == ["GET /a", "paused"])
        _ = side.answer(closing: false)
        let end = side.events()
        #expect(end == ["closed"])
    }

    @Test func `an idle connection holds no block, and one with half a head holds one`() throws {
        var side = try ServerSide()
        _ = try side.receive("GET /a HT")
        let (taken, isIdle) = (side.pool.count, side.connection.isIdle)
        #expect(taken == 0 && !isIdle)
        _ = try side.receive("TP/1.1\r\nHost: x\r\n\r\n")
        _ = side.answer(closing: false)
        _ = side.flush()
        let (returned, isIdleNow) = (side.pool.count, side.connection.isIdle)
        #expect(returned == 1 && isIdleNow)
    }

    @Test func `received bytes are counted once`() throws {
        var side = try ServerSide()
        _ = try side.receive(get)
        let first = side.connection.takeReceived(), again = side.connection.takeReceived()
        #expect(first == UInt64(get.utf8.count) && again == 0)
    }
}

struct DiscardedBodyTests {
    @Test(arguments: [1, 1000, ConnectionLimits.discarded])
    func `a refused body of up to 64 KiB is thrown away and the next request is served`(length: Int) throws {
        var side = try ServerSide()
        let head = try side.receive(post(length))
        #expect(head == ["POST /p"])
        let closes = side.connection.mustClose(after: side.head)
        #expect(!closes)
        let goesOn = side.answer(closing: false)
        let discards = side.connection.discards
        #expect(goesOn && discards)
        var said: [String] = []
        let body = [UInt8](repeating: 0x41, count: length)
        for start in stride(from: 0, to: length, by: 10_000) {
            said += try side.receive(Array(body[start..<min(start + 10_000, length)]))
        }
        #expect(said == [])
        let next = try side.receive(second)
        #expect(next == ["GET /b", "paused"])
    }

    @Test func `a chunked body that goes on and on is an overrun`() throws {
        var side = try ServerSide()
        _ = try side.receive(chunked)
        _ = side.answer(closing: false)
        let chunk = "4000\r\n" + String(repeating: "a", count: 0x4000) + "\r\n"
        for _ in 0..<3 {
            let said = try side.receive(chunk)
            #expect(said == [])
        }
        let said = try side.receive(chunk)
        #expect(said == ["overrun"])
    }

    @Test func `a body that was refused in its middle is thrown away to its end`() throws {
        var side = try ServerSide()
        let first = try side.receive(post(10) + "hel")
        #expect(first == ["POST /p", "body hel"])
        _ = side.answer(closing: false)
        let rest = try side.receive("lo, you" + second)
        #expect(rest == ["GET /b", "paused"])
    }

    @Test func `an answer must be the last where the body is too long or is waited for`() throws {
        var long = try ServerSide()
        _ = try long.receive(post(ConnectionLimits.discarded + 1))
        let closesLong = long.connection.mustClose(after: long.head)
        var waiting = try ServerSide()
        _ = try waiting.receive(post(5, "Expect: 100-continue\r\n"))
        let closesWaiting = waiting.connection.mustClose(after: waiting.head)
        var asked = try ServerSide()
        _ = try asked.receive("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        let closesAsked = asked.connection.mustClose(after: asked.head)
        var plain = try ServerSide()
        _ = try plain.receive(get)
        let closesPlain = plain.connection.mustClose(after: plain.head)
        #expect([closesLong, closesWaiting, closesAsked, closesPlain] == [true, true, true, false])
    }
}

struct LingeringTests {
    @Test func `what comes after the last answer is thrown away until the client ends`() throws {
        var side = try ServerSide()
        _ = try side.receive(post(100_000))
        let goesOn = side.answer(closing: true)
        let isClosing = side.connection.isClosing
        #expect(!goesOn && isClosing)
        let answer = side.deliveredText()
        #expect(answer.hasPrefix("HTTP/1.1 404"))
        let isWhole = side.connection.endOutput()
        let isLingering = side.connection.isLingering
        #expect(!isWhole && isLingering)
        let sawEnd = side.peer.sawEnd()
        #expect(sawEnd, "the client reads the whole answer and its end")
        let said = try side.receive([UInt8](repeating: 0, count: 30_000))
        #expect(said == [])
        side.peer.end()
        side.connection.note(.ended)
        let end = side.events()
        #expect(end == ["closed"])
    }

    @Test func `a client that goes on sending after the last answer is an overrun`() throws {
        var side = try ServerSide()
        _ = try side.receive(get)
        _ = side.answer(closing: true)
        _ = side.delivered()
        _ = side.connection.endOutput()
        var said: [String] = []
        for _ in 0..<3 where said.isEmpty { said = try side.receive([UInt8](repeating: 0, count: 30_000)) }
        #expect(said == ["overrun"])
    }

    @Test func `nothing is read between the last answer and its end`() throws {
        var side = try ServerSide()
        _ = try side.receive(get)
        _ = side.answer(closing: true)
        let said = try side.receive(second)
        #expect(said == [], "a request after the last answer is never taken up")
    }

    @Test func `the first bytes tell whether streams come`() throws {
        let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        for cut in [0, 1, 3, 13] {
            var side = try ServerSide(offersStreams: true)
            let first = cut == 0 ? [] : try side.receive(String(preface.prefix(cut)))
            let second = try side.receive(String(preface.dropFirst(cut)))
            #expect(first.isEmpty && second == ["streams"], "cut at \(cut)")
        }
        var other = try ServerSide(offersStreams: true)
        let early = try other.receive("P")
        let late = try other.receive("RIX / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(early.isEmpty && late.first == "PRIX /")
        var without = try ServerSide()
        let refused = try without.receive(preface)
        #expect(refused == ["malformed versionUnsupported"])
    }
}
