// Which server answers for a host, by nginx's rules.
import Configuration
import HTTP
import Policy
import Testing

@Suite struct ServerNameTests {
    private func exact(_ name: String) -> ServerName { .exact(Array(name.utf8)) }
    private func suffix(_ name: String, alsoBare: Bool = false) -> ServerName {
        .suffix(Array(name.utf8), alsoBare: alsoBare)
    }
    private func prefix(_ name: String) -> ServerName { .prefix(Array(name.utf8)) }
    private func pattern(_ text: String) -> ServerName { .pattern(text, SourcePosition(file: "f", line: 1, column: 1)) }

    private func fixture() -> RouteFixture {
        var fixture = RouteFixture()
        fixture.server([exact("default.example")])
        fixture.server([exact("www.example.com"), exact("api.example.com")])
        fixture.server([suffix(".example.com")])
        fixture.server([suffix(".api.example.com")])
        fixture.server([prefix("www.example.")])
        fixture.server([prefix("www.")])
        fixture.server([suffix(".example.org", alsoBare: true)])
        fixture.server([pattern("^shop[0-9]+\\."), pattern("Tenant")])
        fixture.server([pattern("^shop1")])
        fixture.server([exact("example.org"), exact("[::1]"), exact("192.0.2.1"), exact("under_score")])
        fixture.server([exact("www.example.com"), exact("second")], listeners: [1])
        fixture.server([exact("third"), exact("second")], listeners: [0, 1])
        return fixture
    }

    @Test(arguments: [
        ("default.example", "fallback"), ("unknown", "fallback"), ("", "fallback"), (".", "fallback"),
        ("www.example.com", "server 1"), ("WWW.Example.COM", "server 1"), ("api.example.com", "server 1"),
        ("x.example.com", "server 2"), ("x.y.example.com", "server 2"), ("example.com", "fallback"),
        (".example.com", "fallback"), ("xexample.com", "fallback"), ("x.api.example.com", "server 3"),
        ("a.b.api.EXAMPLE.com", "server 3"), ("www.example.net", "server 4"), ("www.example.co.uk", "server 4"),
        ("www.other.net", "server 5"), ("www.", "fallback"), ("www", "fallback"), ("www.x.example.com", "server 2"),
        ("a.example.org", "server 6"), ("example.org", "server 6"), ("shop7.net", "server 7"),
        ("SHOP1.net", "server 7"),
        ("shop1", "server 8"), ("my-tenant", "server 7"), ("[::1]", "server 9"), ("192.0.2.1", "server 9"),
        ("under_score", "server 9"), ("third", "server 11"), ("second", "server 11"),
    ])
    func choice(host: String, server: String) throws {
        var routes = try fixture().table()
        #expect(routes("/", host: host) == server)
    }

    @Test func listenersAreApart() throws {
        var routes = try fixture().table()
        // Listener 1: server 10 came first and is its default.
        #expect(routes("/", host: "www.example.com", listener: 1) == "server 10")
        #expect(routes("/", host: "x.example.com", listener: 1) == "server 10")
        #expect(routes("/", host: "second", listener: 1) == "server 10")
        #expect(routes("/", host: "third", listener: 1) == "server 11")
        #expect(routes("/", host: "shop7", listener: 1) == "server 10")
    }

    @Test func manyNames() throws {
        var fixture = RouteFixture()
        for i in 0..<500 { fixture.server([exact("host\(i).example"), suffix(".wild\(i).example")]) }
        var routes = try fixture.table()
        for i in 1..<500 {
            #expect(routes("/", host: "host\(i).example") == "server \(i)")
            #expect(routes("/", host: "x.wild\(i).example") == "server \(i)")
        }
        #expect(routes("/", host: "host500.example") == "fallback")
    }

    @Test("P08, P09: the effective host decides, without port, case and the dot at its end")
    func wholeRequests() throws {
        var routes = try fixture().table()
        for (head, server) in [
            ("GET / HTTP/1.1\r\nHost: WWW.example.com:8080\r\n\r\n", "server 1"),
            ("GET / HTTP/1.1\r\nHost: www.example.com.\r\n\r\n", "server 1"),
            ("GET / HTTP/1.1\r\nHost: www.example.com.:80\r\n\r\n", "server 1"),
            ("GET http://third/ HTTP/1.1\r\nHost: www.example.com\r\n\r\n", "server 11"),
            ("OPTIONS * HTTP/1.1\r\nHost: third\r\n\r\n", "server 11"), ("GET / HTTP/1.0\r\n\r\n", "fallback"),
        ] {
            let bytes = Array(head.utf8)
            var parsed = RequestHead()
            guard case .complete = parsed.parse(bytes.span, limits: HTTPLimits()) else {
                Issue.record("\(head) is refused")
                continue
            }
            let verdict = routes.table.match(parsed, listener: 0)
            let index = routes.configuration.locations.firstIndex { $0.name == server }!
            let isRight = verdict == .route(index, matchedPrefix: 0)
            #expect(isRight, "\(head): \(verdict)")
        }
    }
}
