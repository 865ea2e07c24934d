// Mutations of valid messages: nothing traps, and what is accepted means the same when it is written and read again.
import Bytes
import HTTP
import Testing

struct FuzzTests {
    static let heads = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a/b/../c?d=e&f HTTP/1.1\r\nHost: example.com:8080\r\nUser-Agent: curl/8.0\r\nAccept: */*\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\nExpect: 100-continue\r\nConnection: close, x-y\r\nX-Y: z\r\n\r\n",
        "POST http://b:81/y?z HTTP/1.1\r\nHost: [::1]:8080\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\nTE: trailers\r\n\r\n",
        "OPTIONS * HTTP/1.0\r\nConnection: keep-alive\r\nX_Auth_Subject: q\r\nAuthorization: Bearer a.b.c\r\n\r\n",
        "\r\nPUT /long/path/with/many/segments/and%20escapes;v=1 HTTP/1.1\r\nhost:  a\t\r\nCookie: a=b; c=\"d\"\r\n\r\n",
    ]
    static let answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nServer: x\r\n\r\n",
        "HTTP/1.1 304\r\nETag: \"x\"\r\n\r\n",
        "HTTP/1.0 404 Not Found\r\nConnection: keep-alive\r\nContent-Type: text/plain\r\n\r\n",
        "HTTP/1.1 100 Continue\r\nX_Y: z\r\n\r\n",
        "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
    ]
    static let bodies = [
        "5\r\nhello\r\n0\r\n\r\n",
        "A;x=\"y\\\"z\";w\r\n0123456789\r\n0003\r\nabc\r\n0;q\r\nTrailer: t\r\nA: b\r\n\r\n",
        "1 ; a = b\r\nx\r\n000\r\n\r\nGET / HTTP/1.1\r\n",
    ]

    /// What breaks parsers, rather than random bytes alone.
    static let splices = [
        "\r\n", "\n", "\r", "\0", " ", "\t", ":", ",", ";", "\"", "\\", "_", "-", "0", "ffffffffffffffff", "\r\n\r\n",
        "\r\n ", "%2e%2e/", "/../", "chunked", "Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n", "Host: b\r\n",
        "@",
        "Connection: host\r\n", "é", "\u{7f}", "[", "]", "#", "?", "HTTP/1.1",
    ].map { Array($0.utf8) }

    static func mutate(_ text: String, _ random: inout Random) -> [UInt8] {
        var bytes = Array(text.utf8)
        for _ in 0..<1 + random.below(3) where !bytes.isEmpty {
            let at = random.below(bytes.count)
            switch random.below(6) {
            case 0: bytes[at] = UInt8(random.below(256))
            case 1: bytes.remove(at: at)
            case 2: bytes.insert(contentsOf: splices[random.below(splices.count)], at: at)
            case 3: bytes.removeSubrange(at..<min(bytes.count, at + random.below(8)))
            case 4:
                bytes.insert(
                    contentsOf: bytes[at..<min(bytes.count, at + random.below(40))], at: random.below(bytes.count))
            default: bytes[at] ^= 0x20
            }
        }
        return bytes
    }

    /// The head as it would be forwarded with nothing taken away but what never travels; nil when its path is answered with
    /// `path_invalid`.
    static func forwarded(_ bytes: [UInt8], _ side: Side) -> [UInt8]? {
        var pool = BufferPool(), out = ByteQueue()
        let filter = FieldFilter(dropping: FieldSet([.host]), allowsUnderscores: true)
        out.reserve(2 * bytes.count + 64, &pool)
        switch side {
        case .request:
            var head = RequestHead()
            _ = head.parse(bytes.span, limits: HTTPLimits())
            if head.target.isPathInvalid { return nil }
            head.writeRequestLine(to: &out)
            out.append("Host: ")
            out.append(head.host.isEmpty ? "a" : "")
            out.append(head.bytes.extracting(head.host))
            out.append("\r\n")
            head.writeFields(dropping: filter, to: &out)
            if head.framing == .chunked { out.append("Transfer-Encoding: chunked\r\n") }
        case .response(let isHEAD):
            var head = ResponseHead()
            _ = head.parse(bytes.span, isHEAD: isHEAD)
            head.writeStatusLine(to: &out)
            head.writeFields(dropping: filter, to: &out)
            if head.framing == .chunked { out.append("Transfer-Encoding: chunked\r\n") }
        }
        out.append("\r\n")
        let result = written(out)
        out.release(to: &pool)
        return result
    }

    /// Accepted whole or not, cuts agree; and what was accepted is accepted again, with the same meaning, after it was
    /// written, and then is written the same.
    static func check(_ bytes: [UInt8], _ side: Side, _ random: inout Random) {
        let whole = parse(bytes, side)
        let cut = parse(bytes, side, cuts: random.cuts(of: bytes.count))
        let message: Comment = "seed \(random.seed): \(String(decoding: bytes, as: UTF8.self).debugDescription)"
        switch whole {
        case .complete(let head, let consumed):
            #expect(cut == whole, message)
            #expect(consumed <= bytes.count, message)
            guard let once = forwarded(bytes, side) else { return }
            guard case .complete(let again, let count) = parse(once, side) else {
                Issue.record(message)
                return
            }
            #expect(count == once.count, message)
            #expect(again.framing == head.framing && again.contentLength == head.contentLength, message)
            #expect(again.line.first == head.line.first, message)
            #expect(again.hostName.isEmpty || again.hostName == again.host.prefix(again.hostName.count), message)
            #expect(forwarded(once, side) == once, message)
        case .failed: #expect(cut.head == nil, message)
        case .incomplete: #expect(cut.head == nil, message)
        }
    }

    @Test("requests", .timeLimit(.minutes(1)))
    func requests() {
        var random = Random()
        forSeconds(1.5) {
            let bytes = Self.mutate(Self.heads[random.below(Self.heads.count)], &random)
            Self.check(bytes, .request, &random)
        }
    }

    @Test("responses", .timeLimit(.minutes(1)))
    func responses() {
        var random = Random()
        forSeconds(1) {
            let bytes = Self.mutate(Self.answers[random.below(Self.answers.count)], &random)
            Self.check(bytes, .response(isHEAD: random.below(2) == 0), &random)
        }
    }

    @Test("chunked bodies", .timeLimit(.minutes(1)))
    func chunked() {
        var random = Random()
        forSeconds(1) {
            let bytes = Self.mutate(Self.bodies[random.below(Self.bodies.count)], &random)
            let whole = decode(bytes)
            let cut = decode(bytes, cuts: random.cuts(of: bytes.count))
            #expect(cut == whole, "seed \(random.seed): \(String(decoding: bytes, as: UTF8.self).debugDescription)")
            guard case .end(_, let rest) = whole else { return }
            // All that came before the end is needed for it.
            let shorter = Array(bytes.dropLast(rest.utf8.count + 1))
            if String(decoding: bytes.suffix(rest.utf8.count), as: UTF8.self) == rest, rest.utf8.count <= bytes.count {
                guard case .incomplete = decode(shorter) else {
                    Issue.record("seed \(random.seed)")
                    return
                }
            }
        }
    }

    private func forSeconds(_ seconds: Double, _ body: () -> Void) {
        let end = ContinuousClock.now + .seconds(seconds)
        while ContinuousClock.now < end {
            for _ in 0..<50 { body() }
        }
    }
}
