// Fields behind a body: told apart wherever the bytes are cut, and only harmless ones travel on (row H13).
import Bytes
import HTTP
import Testing

@Suite struct TrailerTests {
    /// What a connection keeps of the lines behind the last chunk, when the body comes in these pieces.
    private func section(_ bytes: [UInt8], cuts: [Int]) -> (section: [UInt8], rest: [UInt8])? {
        var decoder = BodyDecoder(.chunked, length: 0)
        var section: [UInt8] = []
        var i = 0
        for limit in cuts + [bytes.count] {
            piece: while true {
                switch decoder.next(bytes.span.extracting(i..<limit)) {
                case .data(let n), .skip(let n): i += n
                case .trailer(let n):
                    section += bytes[i..<i + n]
                    i += n
                case .end: return (section, Array(bytes[i...]))
                case .incomplete: break piece
                case .malformed: return nil
                }
            }
        }
        return nil
    }
    private func passed(
        _ section: String, dropping names: FieldSet = FieldSet(), custom: [String] = [], allowsUnderscores: Bool = false
    ) -> String {
        var out: [UInt8] = []
        let filter = FieldFilter(
            dropping: names, custom: custom.map { Array($0.utf8) }, allowsUnderscores: allowsUnderscores)
        TrailerFilter.append(Array(section.utf8).span, dropping: filter, to: &out)
        return String(decoding: out, as: UTF8.self)
    }

    @Test(arguments: ["", "a: b\r\n", "X-Sum: 1\r\nEmpty:\r\nB: c d\t\u{e9}\r\n"])
    func `the section is the same wherever the body is cut`(_ lines: String) {
        let body = Array("5;x=y\r\nhello\r\n0;z\r\n\(lines)\r\nGET / HTTP/1.1\r\n".utf8)
        let wanted = Array("\(lines)\r\n".utf8)
        for cut in 0...body.count {
            let got = section(body, cuts: [cut])
            #expect(got?.section == wanted, "cut at \(cut)")
            #expect(got.map { String(decoding: $0.rest, as: UTF8.self) } == "GET / HTTP/1.1\r\n")
        }
        #expect(section(body, cuts: Array(0..<body.count))?.section == wanted)
    }
    @Test func `their number is bounded as well as their size`() {
        func malformed(_ lines: String) -> Bool {
            section(Array("0\r\n\(lines)\r\n".utf8), cuts: []) == nil
        }
        #expect(!malformed(String(repeating: "a: b\r\n", count: 100)))
        #expect(malformed(String(repeating: "a: b\r\n", count: 101)))
        #expect(!malformed("a: \(String(repeating: "b", count: 8000))\r\n"))
        #expect(malformed("a: \(String(repeating: "b", count: 8192))\r\n"))
    }

    @Test func `harmless fields travel on as they came`() {
        let lines = "X-Checksum: abc\r\nServer-Timing: db;dur=53\r\nETag: \"x\"\r\ngrpc-status: 0\r\ngrpc-message:\r\n"
        #expect(passed(lines) == lines)
        #expect(passed(lines + "\r\n") == lines)
        #expect(passed("") == "")
    }
    static let forbidden = [
        "Content-Length", "Transfer-Encoding", "Host", "TE", "Trailer", "Connection", "Keep-Alive", "Upgrade", "Expect",
        "Proxy-Connection", "HTTP2-Settings", "Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie",
        "WWW-Authenticate", "Proxy-Authenticate", "Authentication-Info", "X-Auth-Subject", "X-Auth-Anything",
        "X-API-Key",
        "X-Gateway-Identity", "Gateway-Error", "X-Forwarded-For", "X-Forwarded-Whatever", "Forwarded", "X-Real-IP",
        "Via",
        "X-Original-URL", "X-Rewrite-URL", "X-Request-ID", "True-Client-IP", "Content-Type", "Content-Encoding",
        "Content-Range", "Cache-Control", "Range", "If-Match", "If-None-Match", "Max-Forwards", "Location", "Vary",
        "Date",
        "Age", "Expires", "Retry-After", "Access-Control-Allow-Origin", "X-HTTP-Method-Override", "Origin", "Proxy",
    ]
    @Test(arguments: forbidden) func `H13 what decides anything is dropped`(_ name: String) {
        for written in [name, name.lowercased(), name.uppercased()] {
            #expect(passed("a: 1\r\n\(written): x\r\nb: 2\r\n") == "a: 1\r\nb: 2\r\n")
        }
        // Who reads `_` as `-` would take it for the same, even where other fields with it pass.
        if name.contains("-"), name != "Proxy-Connection" {
            let written = name.replacing("-", with: "_")
            #expect(passed("\(written): x\r\nb_c: 2\r\n") == "")
        }
    }
    @Test func `what the head may not have the trailers may not have`() {
        let lines = "X-User: 1\r\nX-Other: 2\r\nx_user: 3\r\nUser-Agent: 4\r\n"
        #expect(passed(lines, custom: ["x-user"]) == "X-Other: 2\r\nUser-Agent: 4\r\n")
        #expect(
            passed(lines, dropping: FieldSet([.userAgent]), custom: ["X-User"], allowsUnderscores: true)
                == "X-Other: 2\r\n")
        #expect(passed("a_b: 1\r\n", allowsUnderscores: true) == "a_b: 1\r\n")
    }
    @Test func `a line that is none is dropped and ends no other`() {
        #expect(passed("no colon\r\na: 1\r\n") == "a: 1\r\n")
        #expect(passed(": x\r\na b: c\r\nd: \u{0}\r\na: 1\r\n") == "a: 1\r\n")
        #expect(passed("a: 1\nHost: evil\r\nb: 2\r\n") == "b: 2\r\n")
        #expect(passed("a: 1\rHost: evil\r\nb: 2\r\n") == "b: 2\r\n")
        #expect(passed("a: 1") == "a: 1\r\n")
    }

    private func takes(_ fields: String) -> Bool {
        var head = RequestHead()
        let text = Array("POST / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n".utf8)
        guard case .complete = head.parse(text.span, limits: HTTPLimits()) else { return false }
        return head.takesTrailers()
    }
    @Test func `clients say that they take trailers`() {
        for fields in [
            "TE: trailers\r\n", "te: Trailers\r\n", "TE: gzip, trailers\r\n", "TE: trailers,deflate;q=0.5\r\n",
            "TE: gzip\r\nTE: trailers\r\n", "TE: , ,trailers ,\r\n", "Content-Type: application/grpc\r\n",
            "Content-Type: application/grpc+proto\r\n", "Content-Type: application/grpc;x=y\r\n",
        ] { #expect(takes(fields), "\(fields)") }
        for fields in [
            "", "TE: gzip\r\n", "TE: trailersx\r\n", "TE: x-trailers\r\n", "TE: trailers x\r\n", "TE:\r\n",
            "X-TE: trailers\r\n", "Content-Type: application/json\r\n", "Content-Type: application/grpc-web\r\n",
            "Content-Type: application/grpcx\r\n",
        ] { #expect(!takes(fields), "\(fields)") }
    }
}
