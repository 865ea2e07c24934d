// Request targets: their four forms, and the one path that is matched and forwarded (P01, P04, P08).
import Bytes
import HTTP
import Testing

/// A target taken apart, as text.
struct ParsedTarget: Equatable {
    var form = RequestTarget.Form.origin
    var authority = ""
    var path = ""
    var matching = ""
    var query: String?
    var isPlain = true

    /// Nil: the target has no valid form. The head goes on behind the target, as on the wire.
    static func parse(_ text: String, _ method: HTTPMethod = .get, before: String = "GET ") -> ParsedTarget? {
        let head = Array((before + text + " HTTP/1.1\r\nHost: a\r\n\r\n").utf8)
        let start = before.utf8.count
        var target = RequestTarget()
        guard target.parse(head.span, start..<start + text.utf8.count, method: method) else { return nil }
        func string(_ range: Range<Int>) -> String { String(decoding: head[range], as: UTF8.self) }
        return ParsedTarget(
            form: target.form, authority: string(target.authority),
            path: target.isPathInvalid ? "invalid" : bytes(target.path(in: head.span)),
            matching: target.isPathInvalid ? "invalid" : bytes(target.matchingPath(in: head.span)),
            query: target.hasQuery ? string(target.query) : nil, isPlain: target.isPlain)
    }

    static func bytes(_ span: Span<UInt8>) -> String {
        var array: [UInt8] = []
        for i in 0..<span.count { array.append(span[i]) }
        return String(decoding: array, as: UTF8.self)
    }
}

@Suite struct RequestTargetTests {
    @Test(arguments: [
        "/", "/api", "/api/v1/items/42", "/a-b_c~d/e.f", "/files/archive.tar.gz", "/a:b@c,d+e=f&g!h$i'j(k)l*m", "/api/",
        "/a|b^c`d{e}\"f<g>",
    ])
    func plainPathsAreTakenAsTheyAre(path: String) throws {
        let target = try #require(ParsedTarget.parse(path))
        #expect(target == ParsedTarget(path: path, matching: path))
        let withQuery = try #require(ParsedTarget.parse(path + "?A=%zz;//..\\&b"))
        #expect(withQuery == ParsedTarget(path: path, matching: path, query: "A=%zz;//..\\&b"))
    }

    @Test(arguments: ["%41", ";", "A", "Z", "//", "/./", "/../", "/.x", "x./", "/%2e/"])
    func anOddByteIsSeenAtEveryPlace(odd: String) throws {
        for before in 0..<40 {
            for after in 0..<20 {
                let path =
                    "/" + String(repeating: "a", count: before) + "/b" + odd + String(repeating: "c", count: after)
                let target = try #require(ParsedTarget.parse(path, before: "OPTIONS "))
                #expect(!target.isPlain, "\(path)")
            }
        }
    }

    @Test func whatFollowsThePathDoesNotMakeItOdd() throws {
        for count in 0..<40 {
            let path = "/" + String(repeating: "a", count: count)
            for query in ["?", "?//", "?A", "?%", "?;"] {
                let target = try #require(ParsedTarget.parse(path + query))
                #expect(target.isPlain && target.path == path && target.query == String(query.dropFirst()))
            }
        }
    }

    @Test(arguments: ["/a.", "/a/.", "/.", "/a..", "/a/..?x", "/a.?x"])
    func aDotAtTheEndIsSeen(path: String) throws {
        #expect(try #require(ParsedTarget.parse(path)).isPlain == false)
    }

    @Test(
        "P01: dot segments are resolved once",
        arguments: [
            ("/./api", "/api"), ("/x/../api/admin", "/api/admin"), ("/x/%2e%2e/api", "/api"), ("/x/.%2E/api", "/api"),
            ("/a/b/..", "/a/"), ("/a/b/.", "/a/b/"), ("/.", "/"), ("/a/..", "/"), ("/a/b/../../c", "/c"),
            ("/a//../b", "/a/b"), ("/a/.../b", "/a/.../b"), ("/a/..b/.c", "/a/..b/.c"),
            ("/.well-known/x", "/.well-known/x"),
            ("/a/%2e%2e%2e/b", "/a/%2e%2e%2e/b"), ("/a/%252e%252e/b", "/a/%252e%252e/b"), ("//../b", "/b"),
            ("/a/%2e", "/a/"), ("/a/..;/b", "/a/..;/b"), ("//", "//"),
        ])
    func dotSegments(raw: String, forwarded: String) throws {
        #expect(try #require(ParsedTarget.parse(raw)).path == forwarded)
        #expect(try #require(ParsedTarget.parse(raw + "?q=/../%")).path == forwarded)
        #expect(try #require(ParsedTarget.parse(raw + "?q=/../%")).query == "q=/../%")
    }

    @Test(
        "P01: for matching, an escaped unreserved character is that character, and the case of escapes is ignored",
        arguments: [
            ("/%61pi", "/%61pi", "/api"), ("/%41%5a%7E%2d%5F", "/%41%5a%7E%2d%5F", "/AZ~-_"),
            ("/a%2fb%2Fc", "/a%2fb%2Fc", "/a%2Fb%2Fc"), ("/caf%c3%a9", "/caf%c3%a9", "/caf%C3%A9"),
            ("/a/../%61%2f", "/%61%2f", "/a%2F"), ("/%2561", "/%2561", "/%2561"), ("/API", "/API", "/API"),
        ])
    func matching(raw: String, forwarded: String, matching: String) throws {
        let target = try #require(ParsedTarget.parse(raw))
        #expect(target.path == forwarded)
        #expect(target.matching == matching)
    }

    @Test(
        "P01, P04: what names nothing",
        arguments: [
            "/..", "/../x", "/a/../../x", "/%2e%2e/x", "/a/%2E./../b", "/%00", "/a%00b", "/%zz", "/%", "/%2", "/a%4",
            "/a%%20", "/\\", "/a\\b", "/a\\..\\b", "/%g0", "/%0g",
        ])
    func invalid(path: String) throws {
        #expect(try #require(ParsedTarget.parse(path)).path == "invalid")
        #expect(try #require(ParsedTarget.parse(path + "?x=1")).path == "invalid")
        #expect(try #require(ParsedTarget.parse("http://a" + path)).path == "invalid")
    }

    @Test func prefixesOfTheForwardedPath() throws {
        func forwarded(_ text: String, _ count: Int) -> Int {
            let bytes = Array(text.utf8)
            var target = RequestTarget()
            let isParsed = target.parse(bytes.span, 0..<bytes.count, method: .get)
            #expect(isParsed)
            return target.forwardedPrefix(ofMatching: count)
        }
        #expect(forwarded("/api/x", 5) == 5)
        #expect(forwarded("/%61pi/x", 5) == 7)
        #expect(forwarded("/%61p%69/x", 4) == 8)
        #expect(forwarded("/a%2Fb/x", 6) == 6)
        #expect(forwarded("/%61", 2) == 4)
        #expect(forwarded("/API/x", 0) == 0)
    }

    @Test("P08: absolute form", arguments: ["http://", "HTTP://", "https://", "Https://"])
    func absoluteForm(scheme: String) throws {
        let full = try #require(ParsedTarget.parse(scheme + "Example.com:8080/a/../b?c"))
        #expect(
            full
                == ParsedTarget(
                    form: .absolute, authority: "Example.com:8080", path: "/b", matching: "/b", query: "c",
                    isPlain: false))
        let bare = try #require(ParsedTarget.parse(scheme + "a"))
        #expect(bare == ParsedTarget(form: .absolute, authority: "a", path: "/", matching: "/"))
        let query = try #require(ParsedTarget.parse(scheme + "[::1]?q"))
        #expect(query == ParsedTarget(form: .absolute, authority: "[::1]", path: "/", matching: "/", query: "q"))
    }

    @Test(arguments: [
        "http://", "http:///x", "http://?x", "http:/a", "http:a", "ftp://a/", "ws://a/", "a", "api/x", "?x", "*/", "**",
        ":",
        "httpx://a", "\\a",
    ])
    func noForm(text: String) {
        #expect(ParsedTarget.parse(text) == nil)
        #expect(ParsedTarget.parse(text, .options) == nil)
    }

    @Test("P08: OPTIONS * is routed like / and forwarded as *")
    func asterisk() throws {
        let target = try #require(ParsedTarget.parse("*", .options))
        #expect(target == ParsedTarget(form: .asterisk, path: "*", matching: "/"))
        #expect(ParsedTarget.parse("*", .get) == nil)
    }

    @Test("P08: CONNECT names an authority and nothing else")
    func authority() throws {
        let target = try #require(ParsedTarget.parse("example.com:443", .connect))
        #expect(target.form == .authority && target.authority == "example.com:443" && target.matching == "/")
        for text in ["/x", "http://a/", "a:1/x", "a@b:1", "a?b"] { #expect(ParsedTarget.parse(text, .connect) == nil) }
    }

    @Test func aTargetIsParsedAfresh() throws {
        var target = RequestTarget()
        for (text, path) in [("http://h/a/../b?q", "/b"), ("/%61/./x", "/%61/x"), ("/plain", "/plain"), ("/B", "/B")] {
            let bytes = Array(text.utf8)
            let isParsed = target.parse(bytes.span, 0..<bytes.count, method: .get)
            #expect(isParsed)
            #expect(ParsedTarget.bytes(target.path(in: bytes.span)) == path)
        }
        let isForgotten =
            target.form == .origin && target.authority.isEmpty && !target.hasQuery && !target.isPathInvalid
        #expect(isForgotten)
    }

    @Test func normalisingTwiceChangesNothing() {
        var random = Random()
        let pieces = ["/", "/", ".", "..", "%2e", "%2E", "a", "B", "%61", "%2f", "%5c", ";", "%c0%ae", "x"]
        for _ in 0..<4000 {
            let path = "/" + (0..<random.below(12)).map { _ in pieces[random.below(pieces.count)] }.joined()
            guard let once = ParsedTarget.parse(path), once.path != "invalid" else { continue }
            let twice = ParsedTarget.parse(once.path)
            #expect(twice?.path == once.path, "\(path), seed \(random.seed)")
            #expect(twice?.matching == once.matching, "\(path)")
            #expect(ParsedTarget.parse(once.matching)?.matching == once.matching, "\(path)")
        }
    }
}
