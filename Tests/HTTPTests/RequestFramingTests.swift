// Where a request ends: rows H01 to H05, H14, H17 and H22 of the security checklist.
import Bytes
import HTTP
import Testing

struct RefusedRequest: Sendable, CustomTestStringConvertible {
    var row: String
    var text: String
    var errors: [MessageError]

    init(_ row: String, _ text: String, _ errors: MessageError...) {
        self.row = row
        self.text = text
        self.errors = errors
    }
    var testDescription: String { "\(row) \(text.prefix(90).debugDescription)" }
}

func expectRefusal(_ vector: RefusedRequest, limits: HTTPLimits? = nil) {
    let (outcome, disagreement) = parseCutEverywhere(Array(vector.text.utf8), limits: limits)
    #expect(disagreement == nil)
    guard case .failed(let error) = outcome else {
        Issue.record("\(vector.testDescription) gave \(outcome)")
        return
    }
    #expect(vector.errors.contains(error))
}

struct RequestFramingTests {
    static let refused = [
        RefusedRequest(
            "H01", request("POST / HTTP/1.1", "Content-Length: 5", "Transfer-Encoding: chunked"),
            .contentLengthAndTransferEncoding),
        RefusedRequest(
            "H01", request("POST / HTTP/1.1", "Transfer-Encoding: chunked", "Content-Length: 0"),
            .contentLengthAndTransferEncoding),
        RefusedRequest("H02", request("POST / HTTP/1.1", "Transfer-Encoding: gzip, chunked"), .transferCoding),
        RefusedRequest("H02", request("POST / HTTP/1.1", "Transfer-Encoding: identity,\tChunked"), .transferCoding),
        RefusedRequest("H02", request("POST / HTTP/1.1", "Transfer-Encoding: chunked, chunked"), .transferEncoding),
        RefusedRequest("H02", request("POST / HTTP/1.1", "Transfer-Encoding: chunked, gzip"), .transferEncoding),
        RefusedRequest("H02", request("POST / HTTP/1.1", "Transfer-Encoding: chunked;q=1"), .transferEncoding),
        RefusedRequest("H02", request("POST / HTTP/1.1", "Transfer-Encoding: gzip, chunked;q=1"), .transferEncoding),
        RefusedRequest("H02", request("POST / HTTP/1.1", "Transfer-Encoding: identity"), .transferEncoding),
        RefusedRequest("H02", request("POST / HTTP/1.1", "Transfer-Encoding: xchunked"), .transferEncoding),
        RefusedRequest("H02", request("POST / HTTP/1.1", "Transfer-Encoding:"), .transferEncoding),
        RefusedRequest("H02", request("POST / HTTP/1.1", "Transfer-Encoding: , chunked"), .transferEncoding),
        RefusedRequest("H02", request("POST / HTTP/1.1", "Transfer-Encoding: chunked,"), .transferEncoding),
        RefusedRequest("H02", request("POST / HTTP/1.1", "Transfer-Encoding: \"chunked\""), .transferEncoding),
        RefusedRequest("H03", request("POST / HTTP/1.1", "Transfer-Encoding : chunked"), .fieldName),
        RefusedRequest("H03", request("POST / HTTP/1.1", "\tTransfer-Encoding: chunked"), .foldedLine),
        RefusedRequest("H03", request("POST / HTTP/1.1", "Transfer-Encoding: chunked\u{b}"), .fieldValue),
        RefusedRequest("H03", request("POST / HTTP/1.1", "Transfer-Encoding: \u{b}chunked"), .fieldValue),
        RefusedRequest(
            "H03", request("POST / HTTP/1.1", "Transfer-Encoding: chunked", "Transfer-encoding: chunked"),
            .transferEncoding),
        RefusedRequest(
            "H03", request("POST / HTTP/1.1", "Transfer-Encoding: chunked", "Transfer-Encoding: x"), .transferEncoding),
        RefusedRequest("H04", request("POST / HTTP/1.0", "Transfer-Encoding: chunked"), .transferEncoding),
        RefusedRequest("H05", request("POST / HTTP/1.1", "Content-Length: 5", "Content-Length: 5"), .contentLength),
        RefusedRequest("H05", request("POST / HTTP/1.1", "Content-Length: 5", "content-length: 6"), .contentLength),
        RefusedRequest("H05", request("POST / HTTP/1.1", "Content-Length: 5, 5"), .contentLength),
        RefusedRequest("H05", request("POST / HTTP/1.1", "Content-Length: +5"), .contentLength),
        RefusedRequest("H05", request("POST / HTTP/1.1", "Content-Length: -1"), .contentLength),
        RefusedRequest("H05", request("POST / HTTP/1.1", "Content-Length: 0x5"), .contentLength),
        RefusedRequest("H05", request("POST / HTTP/1.1", "Content-Length: 5 5"), .contentLength),
        RefusedRequest("H05", request("POST / HTTP/1.1", "Content-Length: "), .contentLength),
        RefusedRequest("H05", request("POST / HTTP/1.1", "Content-Length: ٥"), .contentLength),
        RefusedRequest("H05", request("POST / HTTP/1.1", "Content-Length: 18446744073709551616"), .contentLength),
        RefusedRequest("H05", request("POST / HTTP/1.1", "Content-Length: 9223372036854775808"), .contentLength),
        RefusedRequest(
            "H05", request("POST / HTTP/1.1", "Content-Length: " + String(repeating: "0", count: 10_000) + "5"),
            .contentLength),
    ]

    @Test("H01–H05: two readings of where the body ends are refused", arguments: refused)
    func refuses(_ vector: RefusedRequest) { expectRefusal(vector) }

    @Test("H02: the status tells what is not understood from what is not offered")
    func codingStatus() {
        #expect(MessageError.transferCoding.status == 501)
        #expect(MessageError.transferEncoding.status == 400)
        #expect(MessageError.contentLength.status == 400)
        #expect(String(describing: MessageError.contentLengthAndTransferEncoding.code) == "cl_and_te")
    }

    @Test("H03: Transfer_Encoding frames nothing")
    func underscoreFramesNothing() {
        let head = parse(request("POST / HTTP/1.1", "Transfer_Encoding: chunked", "Content-Length: 3")).head
        #expect(head?.framing == .length)
        #expect(head?.contentLength == 3)
    }

    @Test("H05: a plain length is taken", arguments: ["0", "5", "007", "999999999999999999"])
    func lengths(_ digits: String) {
        let (outcome, disagreement) = parseCutEverywhere(
            Array(request("POST / HTTP/1.1", "Content-Length:\t\(digits) ").utf8))
        #expect(disagreement == nil)
        #expect(outcome.head?.framing == .length)
        #expect(outcome.head?.contentLength == Int64(digits))
    }

    @Test("H14: any method may have a body, and it is framed", arguments: ["GET", "HEAD", "DELETE", "OPTIONS", "BREW"])
    func bodies(_ method: String) {
        #expect(parse(request("\(method) / HTTP/1.1", "Content-Length: 4")).head?.framing == .length)
        #expect(parse(request("\(method) / HTTP/1.1", "Transfer-Encoding: Chunked")).head?.framing == .chunked)
        #expect(parse(request("\(method) / HTTP/1.1")).head?.framing == BodyFraming.none)
    }

    @Test("H17: what follows a head is not looked at")
    func pipelined() {
        let first = request("POST /a HTTP/1.1", "Content-Length: 3")
        guard case .complete(let head, let consumed) = parse(first + "abcGARBAGE\0\r\n\r\n") else {
            Issue.record("refused")
            return
        }
        #expect(consumed == first.utf8.count)
        #expect(head.line == ["POST", "/a", "1"])
    }

    @Test(
        "persistence follows version and options (RFC 9112 section 9.3)",
        arguments: [
            ("1.1", [], false), ("1.1", ["close"], true), ("1.1", ["keep-alive, Close"], true),
            ("1.1", ["x", "close"], true), ("1.1", ["closed"], false), ("1.0", [], true),
            ("1.0", ["Keep-Alive"], false), ("1.0", ["keep-alive", "close"], true), ("1.0", ["keep-alives"], true),
        ] as [(String, [String], Bool)])
    func persistence(_ version: String, _ options: [String], _ closes: Bool) {
        let lines = ["GET / HTTP/\(version)", "Host: a"] + options.map { "Connection: \($0)" }
        #expect(parse(lines.joined(separator: "\r\n") + "\r\n\r\n").head?.wantsClose == closes)
    }

    @Test("H22: options are few, or the head is refused")
    func optionCount() {
        let few = Array(repeating: "a", count: 32).joined(separator: ",")
        #expect(parse(request("GET / HTTP/1.1", "Connection: \(few)")).head != nil)
        expectRefusal(RefusedRequest("H22", request("GET / HTTP/1.1", "Connection: \(few),a"), .tooManyOptions))
        expectRefusal(
            RefusedRequest("H22", request("GET / HTTP/1.1", "Connection: \(few)", "Connection: a"), .tooManyOptions))
    }
}
