// Answers of upstreams: rows U01, U04 and U05.
import Bytes
import HTTP
import Testing

struct ResponseTests {
    static let refused =
        [
            (
                "U01", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
                .contentLengthAndTransferEncoding
            ),
            (
                "U01", "HTTP/1.1 304 N\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
                .contentLengthAndTransferEncoding
            ),
            ("U01", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", .contentLength),
            ("U01", "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n", .contentLength),
            ("U01", "HTTP/1.1 204 N\r\nContent-Length: x\r\n\r\n", .contentLength),
            ("U01", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", .transferEncoding),
            ("U01", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", .transferCoding),
            (
                "U01", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
                .transferEncoding
            ),
            ("U01", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", .transferEncoding),
            ("U01", "HTTP/1.1 200 OK\nA: b\n\n", .lineEnd),
            ("U01", "HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n", .lineEnd),
            ("U01", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", .foldedLine),
            ("U01", "HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n", .fieldValue),
            ("U01", "HTTP/1.1 200 O\0K\r\n\r\n", .statusLine),
            ("U01", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", .fieldName),
            ("U01", "HTTP/1.1 200 OK\rA: b\r\n\r\n", .lineEnd),
            ("U01", "HTTP/1.1 2000 OK\r\n\r\n", .statusLine),
            ("U01", "HTTP/1.1 20 OK\r\n\r\n", .statusLine),
            ("U01", "HTTP/1.1 099 OK\r\n\r\n", .statusLine),
            ("U01", "HTTP/1.1 600 OK\r\n\r\n", .statusLine),
            ("U01", "HTTP/1.1  200 OK\r\n\r\n", .statusLine),
            ("U01", "HTTP/1.1 +20 OK\r\n\r\n", .statusLine),
            ("U01", "HTTP/1.1\r\n\r\n", .statusLine),
            ("U01", "HTTP/1.1_200 OK\r\n\r\n", .statusLine),
            ("U01", "HTTP/2.0 200 OK\r\n\r\n", .versionUnsupported),
            ("U01", "ICY 200 OK\r\n\r\n", .statusLine),
            ("U01", "\r\nHTTP/1.1 200 OK\r\n\r\n", .statusLine),
            ("U01", "<html>hello", .statusLine),
            ("U05", "HTTP/1.1 200 OK\r\n" + String(repeating: "A: b\r\n", count: 201) + "\r\n", .tooManyFields),
            ("U05", "HTTP/1.1 200 OK\r\nA: " + String(repeating: "b", count: 70_000) + "\r\n\r\n", .fieldTooLong),
            ("U05", "HTTP/1.1 200 OK\r\nA: " + String(repeating: "b", count: 70_000), .fieldTooLong),
            ("U05", "HTTP/1.1 200 " + String(repeating: "b", count: 70_000) + "\r\n\r\n", .headTooLarge),
            (
                "U05",
                "HTTP/1.1 200 OK\r\n"
                    + String(repeating: "A: " + String(repeating: "b", count: 1000) + "\r\n", count: 70) + "\r\n",
                .headTooLarge
            ),
        ] as [(String, String, MessageError)]

    @Test("U01, U05: garbled answers are refused", arguments: refused)
    func refuses(_ row: String, _ text: String, _ error: MessageError) {
        let (outcome, disagreement) = parseCutEverywhere(Array(text.utf8), .response(isHEAD: false))
        #expect(disagreement == nil)
        #expect(outcome == .failed(error), "\(row)")
    }

    static let framings =
        [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5", false, BodyFraming.length, 5, false),
            ("HTTP/1.1 200 OK\r\nContent-Length: 0", false, .length, 0, false),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", false, .chunked, 0, false),
            ("HTTP/1.1 200 OK", false, .untilClose, 0, true),
            ("HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 1", false, .length, 1, true),
            ("HTTP/1.0 200 OK\r\nContent-Length: 5", false, .length, 5, true),
            ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive", false, .length, 5, false),
            ("HTTP/1.0 200 OK\r\nConnection: keep-alive", false, .untilClose, 0, true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5", true, .none, 0, false),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", true, .none, 0, false),
            ("HTTP/1.1 200 OK", true, .none, 0, false),
            ("HTTP/1.1 204 No Content", false, .none, 0, false),
            ("HTTP/1.1 204 No Content\r\nContent-Length: 5", false, .none, 0, false),
            ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5", false, .none, 0, false),
            ("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked", false, .none, 0, false),
            ("HTTP/1.1 100 Continue", false, .none, 0, false),
            ("HTTP/1.1 103 Early Hints\r\nLink: </a>", false, .none, 0, false),
            ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x", false, .none, 0, false),
        ] as [(String, Bool, BodyFraming, Int64, Bool)]

    @Test("U04: how a body is framed (RFC 9112 section 6.3)", arguments: framings)
    func framing(_ text: String, _ isHEAD: Bool, _ framing: BodyFraming, _ length: Int64, _ closes: Bool) {
        let (outcome, disagreement) = parseCutEverywhere(Array((text + "\r\n\r\n").utf8), .response(isHEAD: isHEAD))
        #expect(disagreement == nil)
        #expect(outcome.head?.framing == framing)
        #expect(outcome.head?.contentLength == length)
        #expect(outcome.head?.wantsClose == closes)
    }

    @Test("the reason may be anything, empty or absent", arguments: ["", " ", " OK", " Très bien", " a\tb", " 200"])
    func reasons(_ reason: String) {
        let text = "HTTP/1.1 299\(reason)\r\nContent-Length: 0\r\n\r\n"
        let (outcome, disagreement) = parseCutEverywhere(Array(text.utf8), .response(isHEAD: false))
        #expect(disagreement == nil)
        #expect(outcome.head?.line == ["299", "1"])
        for version in ["1.1", "1.0"] {
            var head = ResponseHead(), pool = BufferPool(), out = ByteQueue()
            let bytes = Array(text.replacingFirst("1.1", with: version).utf8)
            #expect(head.parse(bytes.span, isHEAD: false) == .complete(bytes.count))
            out.reserve(bytes.count + 16, &pool)
            head.writeStatusLine(to: &out)
            #expect(String(decoding: written(out), as: UTF8.self) == "HTTP/1.1 299\(reason)\r\n")
            out.release(to: &pool)
        }
    }

    @Test("U04: interim answers are told apart")
    func interim() {
        for (status, isInterim) in [(100, true), (199, true), (200, false), (599, false)] {
            var head = ResponseHead()
            let bytes = Array("HTTP/1.1 \(status) X\r\n\r\n".utf8)
            #expect(head.parse(bytes.span, isHEAD: false) == .complete(bytes.count))
            #expect(head.isInterim == isInterim)
        }
    }
}
