// Which fields travel on: rows H20, H22, A07, A08 and A18, and U02 for those that we write.
import Bytes
import HTTP
import Testing

struct FieldFilterTests {
    /// The field lines that are left of a request with these.
    static func kept(
        _ lines: [String], dropping names: [FieldName] = [], custom: [String] = [], allowsUnderscores: Bool = false
    ) -> [String] {
        let bytes = Array((["GET / HTTP/1.0"] + lines).joined(separator: "\r\n").utf8) + Array("\r\n\r\n".utf8)
        var head = RequestHead(), pool = BufferPool(), out = ByteQueue()
        #expect(head.parse(bytes.span, limits: HTTPLimits()) == .complete(bytes.count))
        let filter = FieldFilter(
            dropping: FieldSet(names), custom: custom.map { Array($0.utf8) }, allowsUnderscores: allowsUnderscores)
        out.reserve(bytes.count, &pool)
        head.writeFields(dropping: filter, to: &out)
        let text = String(decoding: written(out), as: UTF8.self)
        out.release(to: &pool)
        #expect(text.isEmpty || text.hasSuffix("\r\n"))
        return text.split(separator: "\r\n").map(String.init)
    }

    @Test("fields are dropped at the start, in the middle, at the end, and all of them")
    func runs() {
        let lines = ["A: 1", "Host: h", "B: 2", "C: 3", "Cookie: c"]
        #expect(Self.kept(lines) == lines)
        #expect(Self.kept(lines, dropping: [.host]) == ["A: 1", "B: 2", "C: 3", "Cookie: c"])
        #expect(Self.kept(lines, custom: ["a"]) == ["Host: h", "B: 2", "C: 3", "Cookie: c"])
        #expect(Self.kept(lines, dropping: [.cookie]) == ["A: 1", "Host: h", "B: 2", "C: 3"])
        #expect(Self.kept(lines, dropping: [.cookie, .host], custom: ["B", "c", "A"]) == [])
        #expect(Self.kept(lines, dropping: [.cookie], custom: ["a"]) == ["Host: h", "B: 2", "C: 3"])
        #expect(Self.kept([]) == [])
        #expect(Self.kept(["Host: h"], dropping: [.host]) == [])
    }

    @Test("every subset of five fields is what is left")
    func subsets() {
        let names = ["Alpha", "Bravo", "Charlie", "Delta", "Echo"]
        let lines = names.map { "\($0): \($0)" }
        for mask in 0..<32 {
            let dropped = names.indices.filter { mask & 1 << $0 != 0 }
            let left = names.indices.filter { mask & 1 << $0 == 0 }.map { lines[$0] }
            #expect(Self.kept(lines, custom: dropped.map { names[$0] }) == left)
        }
    }

    static let hopByHopLines = [
        "Connection: close", "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "TE: trailers", "Trailer: X",
        "Upgrade: h2c", "Upgrade: websocket", "HTTP2-Settings: AAMAAABkAAQAAP__", "Proxy-Authorization: Basic x",
        "Expect: 100-continue", "Proxy: http://evil/",
    ]
    @Test("H20, A18: hop-by-hop fields, Expect and Proxy never travel", arguments: hopByHopLines)
    func hopByHop(_ line: String) {
        #expect(Self.kept(["Host: a", line, "X: y"]) == ["Host: a", "X: y"])
        let name = line.prefix { $0 != ":" }
        let other = name.uppercased() + line.dropFirst(name.count)
        #expect(Self.kept(["Host: a", other, "X: y"]) == ["Host: a", "X: y"])
    }

    @Test("Transfer-Encoding does not travel as it came, Content-Length does")
    func framing() {
        let bytes = Array(request("POST / HTTP/1.1", "Transfer-Encoding: chunked", "X: y").utf8)
        var head = RequestHead(), pool = BufferPool(), out = ByteQueue()
        #expect(head.parse(bytes.span, limits: HTTPLimits()) == .complete(bytes.count))
        out.reserve(bytes.count, &pool)
        head.writeFields(dropping: FieldFilter(dropping: FieldSet()), to: &out)
        #expect(String(decoding: written(out), as: UTF8.self) == "Host: a\r\nX: y\r\n")
        out.release(to: &pool)
        #expect(Self.kept(["Content-Length: 3"]) == ["Content-Length: 3"])
    }

    @Test("H22, A08: what Connection names goes, except what frames and routes")
    func nominated() {
        let lines = [
            "Host: a", "X-One: 1", "Connection: close, x-one , Content-Length, HOST", "Content-Length: 0", "X-Two: 2",
            "connection: X-TWO,,authorization", "Authorization: b", "X-Three: 3", "X-On: 4", "X-Onee: 5",
        ]
        #expect(Self.kept(lines) == ["Host: a", "Content-Length: 0", "X-Three: 3", "X-On: 4", "X-Onee: 5"])
    }

    @Test("A07: names in any spelling that an upstream reads as ours")
    func spellings() {
        let custom = ["X-Auth-Subject", "x_short"]
        let dropped = ["X-Auth-Subject: 1", "x-auth-subject: 2", "X-AUTH-SUBJECT: 3", "X-Short: 4"]
        let underscored = ["x_auth_subject: 1", "X-Auth_Subject: 2", "X_SHORT: 3", "x_short: 4"]
        let other = ["X-Auth-Subjects: 1", "X-Auth-Subjec: 2", "Y-Auth-Subject: 3", "XXAuth-Subject: 4"]
        #expect(Self.kept(dropped + other + dropped, custom: custom) == other)
        #expect(Self.kept(underscored + other, custom: custom) == other)
        #expect(Self.kept(underscored + other, custom: custom, allowsUnderscores: true) == other)
    }

    @Test("H03: names with an underscore are dropped unless allowed, and never stand for a known name")
    func underscores() {
        let plain = ["my_field: 1", "_: 2"]
        let misspelt = [
            "Transfer_Encoding: chunked", "Content_Length: 5", "HOST_: x", "X_Forwarded_For: 1.2.3.4",
            "X-Forwarded_For: 5",
        ]
        #expect(Self.kept(plain + ["A: b"] + misspelt) == ["A: b"])
        let forwarding: [FieldName] = [.xForwardedFor]
        let allowed = Self.kept(plain + misspelt, dropping: forwarding, allowsUnderscores: true)
        #expect(allowed == plain + ["HOST_: x"])
    }

    @Test("a custom name that is a known one is dropped as such")
    func known() {
        #expect(Self.kept(["User-Agent: x", "Host: y", "A: b"], custom: ["USER_AGENT", "host"]) == ["A: b"])
    }

    @Test("long names are compared as well")
    func long() {
        let long = String(repeating: "n", count: 80)
        #expect(Self.kept(["\(long): 1", "\(long)n: 2", "A: b"], custom: [long]) == ["\(long)n: 2", "A: b"])
    }

    @Test("responses: a length that may not stand is dropped, others travel")
    func responses() {
        for (status, isKept) in [(100, false), (204, false), (200, true), (304, true), (404, true)] {
            let bytes = Array("HTTP/1.1 \(status) X\r\nContent-Length: 0\r\nConnection: x\r\nX: y\r\nZ: w\r\n\r\n".utf8)
            var head = ResponseHead(), pool = BufferPool(), out = ByteQueue()
            #expect(head.parse(bytes.span, isHEAD: false) == .complete(bytes.count))
            out.reserve(bytes.count, &pool)
            head.writeFields(dropping: FieldFilter(dropping: FieldSet()), to: &out)
            #expect(
                String(decoding: written(out), as: UTF8.self) == (isKept ? "Content-Length: 0\r\nZ: w\r\n" : "Z: w\r\n")
            )
            out.release(to: &pool)
        }
    }

    @Test("every known name is told apart in any case")
    func classification() {
        let known = [
            "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "keep-alive",
            "proxy-connection", "http2-settings", "proxy-authenticate", "proxy-authorization", "host", "expect",
            "proxy",
            "authorization", "www-authenticate", "cookie", "set-cookie", "forwarded", "x-forwarded-for",
            "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-forwarded-uri", "x-forwarded-server",
            "x-forwarded-prefix", "x-real-ip", "x-original-url", "x-rewrite-url", "x-request-id", "content-type",
            "cache-control", "date", "server", "location", "vary", "origin", "referer", "user-agent", "gateway-error",
        ]
        let names = FieldName.allCases.dropFirst()
        #expect(names.count == known.count)
        for (text, name) in zip(known, names) {
            let set = FieldSet([name])
            for spelling in [text, text.uppercased(), String(text.prefix(1)).uppercased() + text.dropFirst()] {
                var head = ResponseHead()
                let value = name == .contentLength ? "1" : name == .transferEncoding ? "chunked" : "v"
                let bytes = Array("HTTP/1.1 200 X\r\n\(spelling): \(value)\r\n\r\n".utf8)
                #expect(head.parse(bytes.span, isHEAD: false) == .complete(bytes.count))
                #expect(head.fields.id(at: 0) == name)
                #expect(set.contains(head.fields.id(at: 0)))
                #expect(head.count(of: name) == 1)
            }
            // One byte more, or another first byte, is another name.
            for spelling in [text + "x", "q" + text.dropFirst()] {
                var head = ResponseHead()
                let bytes = Array("HTTP/1.1 200 X\r\n\(spelling): v\r\n\r\n".utf8)
                #expect(head.parse(bytes.span, isHEAD: false) == .complete(bytes.count))
                #expect(head.fields.id(at: 0) == .other)
            }
        }
        #expect(!FieldSet([.other]).contains(.other))
    }
}

struct RequestLineWritingTests {
    static func line(_ text: String, replacing: (Int, String)? = nil) -> String {
        let bytes = Array(text.utf8)
        var head = RequestHead(), pool = BufferPool(), out = ByteQueue()
        #expect(head.parse(bytes.span, limits: HTTPLimits()) == .complete(bytes.count))
        out.reserve(bytes.count + 64, &pool)
        if let (count, uri) = replacing {
            let prefix = Array(uri.utf8)
            head.writeRequestLine(replacingPathPrefix: count, with: prefix.span, to: &out)
        } else {
            head.writeRequestLine(to: &out)
        }
        let result = String(decoding: written(out), as: UTF8.self)
        out.release(to: &pool)
        return result
    }

    @Test(
        "the line is written in origin form and our version",
        arguments: [
            ("GET / HTTP/1.1", "GET / HTTP/1.1"), ("GET /a?b=c&d HTTP/1.0", "GET /a?b=c&d HTTP/1.1"),
            ("GET /a/../b?x=/../y HTTP/1.1", "GET /b?x=/../y HTTP/1.1"), ("BREW /a? HTTP/1.1", "BREW /a? HTTP/1.1"),
            ("GET http://b/c?d HTTP/1.1", "GET /c?d HTTP/1.1"), ("GET http://b?d HTTP/1.1", "GET /?d HTTP/1.1"),
            ("OPTIONS * HTTP/1.0", "OPTIONS * HTTP/1.1"), ("GET /%2fa%7e HTTP/1.1", "GET /%2fa%7e HTTP/1.1"),
        ])
    func origin(_ came: String, _ sent: String) {
        #expect(Self.line(request(came)) == sent + "\r\n")
    }

    @Test("a prefix of the path is replaced")
    func replaced() {
        #expect(Self.line(request("GET /api/x?y HTTP/1.1"), replacing: (4, "/v1")) == "GET /v1/x?y HTTP/1.1\r\n")
        #expect(Self.line(request("GET /api HTTP/1.1"), replacing: (4, "/")) == "GET / HTTP/1.1\r\n")
        #expect(Self.line(request("GET /q/../api/x HTTP/1.0"), replacing: (4, "/v")) == "GET /v/x HTTP/1.1\r\n")
        #expect(Self.line(request("GET /a HTTP/1.1"), replacing: (99, "/b")) == "GET /b HTTP/1.1\r\n")
    }
}
