// The request line: rows H18, H19, H23, P10 and P11.
import Bytes
import HTTP
import Testing

struct RequestLineTests {
    static let refused = [
        RefusedRequest("H18", request("GET / HTTP/1.2"), .versionUnsupported),
        RefusedRequest("H18", request("GET / HTTP/2.0"), .versionUnsupported),
        RefusedRequest("H18", request("GET / HTTP/0.9"), .versionUnsupported),
        RefusedRequest("H18", request("GET / http/1.1"), .requestLine),
        RefusedRequest("H18", request("GET / HTTP/1.1 x"), .requestLine),
        RefusedRequest("H18", request("GET / HTTP/1.1 "), .requestLine),
        RefusedRequest("H18", request("GET / HTTP/1.10"), .requestLine),
        RefusedRequest("H18", request("GET / HTTP/1,1"), .requestLine),
        RefusedRequest("H18", request("GET / HTTP/11"), .requestLine),
        RefusedRequest("H18", request("GET / HTTPS/1.1"), .requestLine),
        RefusedRequest("H18", request("GET / "), .requestLine),
        RefusedRequest("H18", request("GET / x"), .requestLine),
        RefusedRequest("H18", "GET /\r\n", .requestLine),
        RefusedRequest("H18", request("GET /"), .requestLine),
        RefusedRequest("H18", request("GET"), .requestLine),
        RefusedRequest("H18", request("GET  / HTTP/1.1"), .requestLine),
        RefusedRequest("H18", request("GET /  HTTP/1.1"), .requestLine),
        RefusedRequest("H18", request(" GET / HTTP/1.1"), .requestLine),
        RefusedRequest("H18", request("GET\t/ HTTP/1.1"), .requestLine),
        RefusedRequest("H19", "\r\n\r\n" + request(), .emptyLine),
        RefusedRequest("H19", "\r\n\n" + request(), .emptyLine),
        RefusedRequest("H19", "\n" + request(), .lineEnd),
        RefusedRequest("H19", "\r" + request(), .lineEnd),
        RefusedRequest("H19", " \r\n" + request(), .requestLine),
        RefusedRequest("H23", request("G(T / HTTP/1.1"), .requestLine),
        RefusedRequest("H23", request("GÉT / HTTP/1.1"), .requestLine),
        RefusedRequest("H23", request("G\0T / HTTP/1.1"), .requestLine),
        RefusedRequest("H23", request("GET: / HTTP/1.1"), .requestLine),
        RefusedRequest("H23", request(String(repeating: "A", count: 10_240) + " / HTTP/1.1"), .methodTooLong),
        RefusedRequest("H23", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", .versionUnsupported),
        RefusedRequest("H07", "GET / HTTP/1.1\nHost: a\r\n\r\n", .lineEnd),
        RefusedRequest("H07", "GET / HTTP/1.1\nHost: a\n\n", .lineEnd),
        RefusedRequest("H07", "GET / HTTP/1.1\rHost: a\r\n\r\n", .lineEnd),
        RefusedRequest("P10", request("GET /a#b HTTP/1.1"), .target),
        RefusedRequest("P10", request("GET /a?b#c HTTP/1.1"), .target),
        RefusedRequest("P10", request("GET /0123456789abcdef#g HTTP/1.1"), .target),
        RefusedRequest("P10", request("GET /a\tb HTTP/1.1"), .target),
        RefusedRequest("P10", request("GET /a\u{1}b HTTP/1.1"), .target),
        RefusedRequest("P10", request("GET /a\u{7f}b HTTP/1.1"), .target),
        RefusedRequest("P10", request("GET /é HTTP/1.1"), .target),
        RefusedRequest("P10", request("GET /0123456789abcdefghi\u{80} HTTP/1.1"), .target),
        RefusedRequest("P10", request("GET /a b HTTP/1.1"), .requestLine),
        RefusedRequest("P08", request("GET * HTTP/1.1"), .target),
        RefusedRequest("P08", request("GET a/b HTTP/1.1"), .target),
    ]

    @Test("H07, H18, H19, H23, P08, P10: the line has one reading or none", arguments: refused)
    func refuses(_ vector: RefusedRequest) { expectRefusal(vector) }

    @Test("H18, H23: statuses")
    func statuses() {
        #expect(parse(String(repeating: "A", count: 33)) == .failed(.methodTooLong))
        #expect(MessageError.versionUnsupported.status == 505)
        #expect(MessageError.methodTooLong.status == 501)
        #expect(MessageError.requestLine.status == 400)
        #expect(MessageError.target.status == 400)
        #expect(MessageError.requestLineTooLong.status == 414)
    }

    @Test("H19: one empty line is tolerated, and consumed")
    func oneEmptyLine() {
        let text = "\r\n" + request("GET /x?y HTTP/1.1")
        let (outcome, disagreement) = parseCutEverywhere(Array(text.utf8))
        #expect(disagreement == nil)
        guard case .complete(let head, let consumed) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(consumed == text.utf8.count)
        #expect(head.line == ["GET", "/x?y", "1"])
        #expect(head.fields == [["Host", "a"]])
    }

    @Test(
        "methods are case-sensitive",
        arguments: [
            ("GET", .get), ("HEAD", .head), ("POST", .post), ("PUT", .put), ("DELETE", .delete), ("PATCH", .patch),
            ("OPTIONS", .options), ("TRACE", .trace), ("get", .other), ("GEt", .other), ("M-SEARCH", .other),
            ("UPDATEREDIRECTREF", .other), (String(repeating: "X", count: 32), .other),
        ] as [(String, HTTPMethod)])
    func methods(_ name: String, _ method: HTTPMethod) {
        var head = RequestHead()
        let bytes = Array(request("\(name) / HTTP/1.1").utf8)
        #expect(head.parse(bytes.span, limits: HTTPLimits()) == .complete(bytes.count))
        #expect(head.method == method)
        #expect(text(head.bytes, head.methodRange) == name)
    }

    @Test("P11: the line may be as long as the limit, not longer; known before it ends")
    func lineSize() {
        let limits = HTTPLimits(lineSize: 100, headSize: 1000, fieldCount: 10)
        func line(_ count: Int) -> String { "GET /" + String(repeating: "a", count: count - 14) + " HTTP/1.1" }
        let (fits, disagreement) = parseCutEverywhere(Array(request(line(100)).utf8), limits: limits)
        #expect(disagreement == nil)
        #expect(fits.head?.line[1].count == 87)
        expectRefusal(RefusedRequest("P11", request(line(101)), .requestLineTooLong), limits: limits)
        expectRefusal(
            RefusedRequest("P11", "GET /" + String(repeating: "a", count: 96), .requestLineTooLong), limits: limits)
        let unended = Array(("GET /" + String(repeating: "a", count: 95)).utf8)
        #expect(parse(unended, limits: limits, cuts: Array(1..<100)) == .incomplete)
    }
}
