// Which origins and preflights a `cors` block lets pass, and what it says to them; rows A11, A14 and A17.
import Bytes
import Configuration
import HTTP
import Policy
import Testing

struct CrossOriginTests {
    private static func rules(_ change: (inout CrossOriginRules) -> Void) -> CrossOriginRules {
        var rules = CrossOriginRules()
        change(&rules)
        return rules
    }
    private static let named = rules {
        $0.origins = [
            .exact("https://app.example.com"), .exact("http://localhost:3000"),
            .oneLabel(scheme: "https://", domain: ".example.org"), .oneLabel(scheme: "http://", domain: ".b.test:81"),
        ]
        $0.methods = ["GET", "PUT"]
        $0.exposedHeaders = ["Link", "retry-after"]
        $0.allowsCredentials = true
    }
    private static let open = rules { $0.origins = [.any] }

    private static func parse(_ lines: [String], method: String = "GET") -> RequestHead {
        let bytes = Array(([method + " / HTTP/1.1", "Host: h"] + lines + ["", ""]).joined(separator: "\r\n").utf8)
        var head = RequestHead()
        #expect(head.parse(bytes.span, limits: HTTPLimits()) == .complete(bytes.count))
        return head
    }
    private static func allows(_ rules: CrossOriginRules, _ lines: String...) -> Bool {
        CrossOrigin([open, rules]).allowsOrigin(of: parse(lines), block: 1)
    }
    private static func trusts(_ rules: CrossOriginRules, _ line: String) -> Bool {
        CrossOrigin([open, rules]).trustsCredentials(ofOriginOf: parse([line]), block: 1)
    }
    private static func isPreflight(_ lines: [String], method: String = "OPTIONS") -> Bool {
        CrossOrigin.isPreflight(parse(lines, method: method))
    }
    private static func verdict(_ rules: CrossOriginRules, _ lines: [String]) -> PreflightVerdict {
        CrossOrigin([open, rules]).preflight(parse(lines, method: "OPTIONS"), block: 1)
    }
    private static func said(_ rules: CrossOriginRules, _ lines: String..., isRefusal: Bool = false) -> [String] {
        let table = CrossOrigin([rules])
        return fields { table.append(parse(lines), block: 0, isRefusal: isRefusal, to: &$0) }
    }
    private static func saidToPreflight(_ rules: CrossOriginRules) -> [String] {
        let table = CrossOrigin([rules])
        let lines = ["Origin: https://app.example.com", asks]
        return fields { table.appendPreflight(parse(lines, method: "OPTIONS"), block: 0, to: &$0) }
    }
    private static func fields(_ body: (inout ByteBuffer) -> Void) -> [String] {
        var out = ByteBuffer(capacity: 64)
        body(&out)
        let text = String(decoding: (0..<out.count).map { out.bytes[$0] }, as: UTF8.self)
        return text.split(separator: "\r\n").map(String.init)
    }

    @Test(arguments: [
        ("https://app.example.com", true), ("http://localhost:3000", true), ("https://x.example.org", true),
        ("https://a-b_1.example.org", true), ("http://x.b.test:81", true),
        // scheme, port, case, and everything around it count
        ("http://app.example.com", false), ("https://app.example.com:8443", false), ("https://APP.example.com", false),
        ("https://app.example.com.", false), ("https://app.example.com.evil.test", false),
        ("https://evil.test/https://app.example.com", false), ("https://app.example.co", false),
        ("https://app.example.com https://evil.test", false), ("null", false), ("", false), ("http://localhost", false),
        // one label, no more and no less
        ("https://a.b.example.org", false), ("https://example.org", false), ("https://.example.org", false),
        ("https://xexample.org", false), ("https://evil.test/.example.org", false), ("https://a:b.example.org", false),
        ("https://evil@.example.org", false), ("http://x.example.org", false), ("http://x.b.test", false),
        ("https://X.example.org", false), ("https://x.example.org:444", false), ("https://é.example.org", false),
    ])
    func `an origin is compared letter by letter`(origin: String, expected: Bool) {
        #expect(Self.allows(Self.named, "Origin: \(origin)") == expected)
        #expect(Self.trusts(Self.named, "Origin: \(origin)") == expected)
        #expect(!Self.trusts(Self.open, "Origin: \(origin)"))
    }

    @Test func `two origins are none`() {
        let line = "Origin: https://app.example.com"
        #expect(!Self.allows(Self.named, line, line) && !Self.allows(Self.open, line, line))
    }

    private static let asks = "Access-Control-Request-Method: PUT"

    @Test func `A11 only OPTIONS with both fields is a preflight`() {
        let origin = "Origin: https://app.example.com"
        #expect(Self.isPreflight([origin, Self.asks]))
        #expect(Self.isPreflight(["origin: x", "ACCESS-CONTROL-REQUEST-METHOD: PUT"]))
        for (lines, method) in [
            ([origin], "OPTIONS"), ([Self.asks], "OPTIONS"), ([origin, Self.asks], "GET"),
            ([origin, Self.asks], "options"), ([origin, "Access-Control-Request-Method:"], "OPTIONS"),
            ([origin, Self.asks, Self.asks], "OPTIONS"), ([origin, "Access_Control_Request_Method: PUT"], "OPTIONS"),
            ([origin, Self.asks, "Content-Length: 1"], "OPTIONS"),
            ([origin, Self.asks, "Transfer-Encoding: chunked"], "OPTIONS"),
            ([origin, "Access-Control-Request-Headers: x"], "OPTIONS"), ([origin, origin, Self.asks], "OPTIONS"),
        ] {
            #expect(!Self.isPreflight(lines, method: method), "\(lines) \(method)")
        }
    }

    @Test(arguments: [
        ("https://app.example.com", "PUT", PreflightVerdict.answer), ("https://app.example.com", "GET", .answer),
        ("https://app.example.com", "DELETE", .refuse), ("https://app.example.com", "put", .refuse),
        ("https://app.example.com", "PUT, DELETE", .refuse), ("https://evil.test", "PUT", .refuse),
    ])
    func `a preflight needs an origin and a method that are named`(
        origin: String, method: String, expected: PreflightVerdict
    ) {
        let lines = ["Origin: \(origin)", "Access-Control-Request-Method: \(method)"]
        let any = Self.rules {
            $0.origins = [.any]
            $0.methods = ["*"]
        }
        #expect(Self.verdict(Self.named, lines) == expected)
        #expect(Self.verdict(Self.rules { $0.passesPreflights = true }, lines) == .pass)
        #expect(Self.verdict(any, lines) == .answer)
    }

    @Test func `an allowed preflight is told what is allowed`() {
        let stars = Self.rules {
            $0.origins = [.any]
            $0.headers = ["*"]
            $0.methods = ["*"]
            $0.maxAge = .zero
        }
        #expect(
            Self.saidToPreflight(Self.named) == [
                "Access-Control-Allow-Origin: https://app.example.com", "Access-Control-Allow-Credentials: true",
                "Access-Control-Allow-Methods: GET, PUT", "Access-Control-Allow-Headers: Authorization, Content-Type",
                "Access-Control-Max-Age: 600",
                "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
            ])
        #expect(
            Self.saidToPreflight(stars).dropLast() == [
                "Access-Control-Allow-Origin: *", "Access-Control-Allow-Methods: *",
                "Access-Control-Allow-Headers: *, Authorization", "Access-Control-Max-Age: 0",
            ])
    }

    @Test func `A17 answers name the origin that may read them, refusals also what helps`() {
        let line = "Origin: https://x.example.org"
        let allowed = ["Access-Control-Allow-Origin: https://x.example.org", "Access-Control-Allow-Credentials: true"]
        #expect(
            Self.said(Self.named, line)
                == allowed + ["Access-Control-Expose-Headers: Link, retry-after", "Vary: Origin"])
        #expect(
            Self.said(Self.named, line, isRefusal: true)
                == allowed + [
                    "Access-Control-Expose-Headers: Link, retry-after, WWW-Authenticate, Gateway-Error", "Vary: Origin",
                ])
        #expect(
            Self.said(Self.open, line, isRefusal: true) == [
                "Access-Control-Allow-Origin: *",
                "Access-Control-Expose-Headers: WWW-Authenticate, Retry-After, Gateway-Error",
            ])
        #expect(
            Self.said(Self.open, line) == ["Access-Control-Allow-Origin: *"])
    }

    @Test func `others learn nothing, but that answers differ`() {
        for isRefusal in [false, true] {
            for line in ["X: y", "Origin: https://evil.test", "Origin: null"] {
                #expect(Self.said(Self.named, line, isRefusal: isRefusal) == ["Vary: Origin"])
            }
        }
    }
}

struct CrossSiteTests {
    private static func accepts(
        _ lines: String..., method: String = "POST", host: String = "shop.example", isTLS: Bool = true, block: Int = -1
    ) -> Bool {
        let text = ([method + " /x HTTP/1.1", "Host: \(host)"] + lines + ["", ""]).joined(separator: "\r\n")
        let bytes = Array(text.utf8)
        var head = RequestHead()
        #expect(head.parse(bytes.span, limits: HTTPLimits()) == .complete(bytes.count))
        var named = CrossOriginRules(), mute = CrossOriginRules(), open = CrossOriginRules()
        named.origins = [.exact("https://app.example.com")]
        named.allowsCredentials = true
        mute.origins = named.origins
        open.origins = [.any]
        return CrossSite.accepts(head, isTLS: isTLS, CrossOrigin([named, mute, open]), block: block)
    }

    @Test(arguments: ["GET", "HEAD", "OPTIONS", "TRACE"])
    func `A14 what changes nothing may come from anywhere`(method: String) {
        #expect(Self.accepts("Origin: https://evil.test", "Sec-Fetch-Site: cross-site", method: method))
        #expect(!Self.accepts("Origin: https://evil.test", "Upgrade: websocket", method: method))
        #expect(Self.accepts("Origin: https://shop.example", "Upgrade: websocket", method: method))
    }

    @Test(arguments: ["POST", "PUT", "DELETE", "PATCH", "get", "PROPFIND"])
    func `A14 what may change something must not come from another site`(method: String) {
        #expect(Self.accepts(method: method), "no browser")
        #expect(Self.accepts("Origin: https://shop.example", method: method))
        #expect(Self.accepts("Origin: https://shop.example", "Sec-Fetch-Site: same-origin", method: method))
        #expect(Self.accepts("Sec-Fetch-Site: none", method: method))
        #expect(!Self.accepts("Origin: https://evil.test", method: method))
        #expect(!Self.accepts("Origin: null", method: method))
        #expect(!Self.accepts("Origin:", method: method))
        for site in ["cross-site", "same-site", "x", "", "same-origin, none", "SAME-ORIGIN"] {
            #expect(!Self.accepts("Sec-Fetch-Site: \(site)", method: method), "\(site)")
            #expect(!Self.accepts("Origin: https://shop.example", "Sec-Fetch-Site: \(site)", method: method))
        }
        #expect(!Self.accepts("Origin: https://evil.test", "Sec-Fetch-Site: same-origin", method: method))
    }

    @Test func `the own origin is scheme, host and port`() {
        #expect(Self.accepts("Origin: https://shop.example", host: "SHOP.example"))
        #expect(Self.accepts("Origin: https://shop.example", host: "shop.example:443"))
        #expect(Self.accepts("Origin: https://shop.example:8443", host: "shop.example:8443"))
        #expect(Self.accepts("Origin: http://shop.example", host: "shop.example:80", isTLS: false))
        #expect(Self.accepts("Origin: http://[::1]:8080", host: "[::1]:8080", isTLS: false))
        for (origin, host, isTLS) in [
            ("https://shop.example", "shop.example:8443", true), ("https://shop.example:8443", "shop.example", true),
            ("http://shop.example", "shop.example", true), ("https://shop.example", "shop.example", false),
            ("https://shop.example", "shop.example:80", true), ("https://shop.example.evil", "shop.example", true),
            ("https://ashop.example", "shop.example", true), ("https://", "shop.example", true),
        ] {
            #expect(!Self.accepts("Origin: \(origin)", host: host, isTLS: isTLS), "\(origin) \(host)")
        }
        // Somebody else ended TLS; the browser knows.
        #expect(Self.accepts("Origin: https://shop.example", "Sec-Fetch-Site: same-origin", isTLS: false))
    }

    @Test func `two of a field are nobody's`() {
        #expect(!Self.accepts("Origin: https://shop.example", "Origin: https://shop.example"))
        #expect(!Self.accepts("Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: same-origin"))
    }

    @Test func `origins that may ask with credentials are friends`() {
        let origin = "Origin: https://app.example.com"
        #expect(Self.accepts(origin, "Sec-Fetch-Site: cross-site", block: 0))
        #expect(Self.accepts(origin, "Upgrade: websocket", method: "GET", block: 0))
        #expect(!Self.accepts("Origin: https://evil.test", block: 0))
        #expect(!Self.accepts(origin, block: 1) && !Self.accepts(origin, block: 2) && !Self.accepts(origin))
    }
}
