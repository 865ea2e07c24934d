// Locations by nginx's rules, prefixes by segments (P06, P07).
import Configuration
import Policy
import Testing

@Suite struct RouteTableTests {
    @Test func exactThenLongestPrefix() throws {
        var routes = try RouteFixture([
            LocationLine("/"), LocationLine("/api"), LocationLine("/api/admin/"), LocationLine("= /api/admin/now"),
            LocationLine("= /"), LocationLine("/api/adminx"), LocationLine("/ap"),
        ]).table()
        for (path, location) in [
            ("/", "= /"), ("/x", "/"), ("/api", "/api"), ("/api/", "/api"), ("/api/x", "/api"), ("/api?x", "/api"),
            ("/api/admin/x", "/api/admin/"), ("/api/admin/now", "= /api/admin/now"),
            ("/api/admin/now/", "/api/admin/"), ("/api/admin/nowx", "/api/admin/"), ("/api/adminx", "/api/adminx"),
            ("/api/adminxy", "/api"), ("/ap", "/ap"), ("/ap/i", "/ap"), ("/a", "/"), ("/apiadmin", "/"),
        ] { #expect(routes(path) == location, "\(path)") }
    }

    @Test("P07: a prefix is matched by segments, and its own path without the slash belongs to it")
    func segments() throws {
        var routes = try RouteFixture(
            [
                LocationLine("/api", "a"), LocationLine("/api/admin/", "b"), LocationLine("/docs/", "c"),
                LocationLine("/docs", "d"),
            ],
            fallback: "f"
        ).table()
        for (path, location) in [
            ("/api", "/api"), ("/api/", "/api"), ("/apix", "fallback"), ("/api/admin", "/api/admin/"),
            ("/api/admin/", "/api/admin/"), ("/api/admin/x", "/api/admin/"), ("/api/adminx", "/api"),
            ("/ap", "fallback"),
            ("/docs", "/docs"), ("/docs/", "/docs/"), ("/docs/x", "/docs/"), ("/docsx", "fallback"),
        ] { #expect(routes(path) == location, "\(path)") }
    }

    @Test("P06: what no location matches is the server's own")
    func fallback() throws {
        var routes = try RouteFixture([LocationLine("/api/", "a")], fallback: "f").table()
        #expect(routes("/apiadmin") == "fallback")
        #expect(routes("/") == "fallback")
        var empty = try RouteFixture([]).table()
        #expect(empty("/x") == "fallback")
        #expect(empty("/x//%2f..;") == "fallback")
    }

    @Test func expressions() throws {
        var routes = try RouteFixture([
            LocationLine("/"), LocationLine("/img/"), LocationLine("^~ /raw/"), LocationLine("~ \\.gif$"),
            LocationLine("~* \\.(gif|jpg)$"),
            LocationLine("= /img/exact.gif"), LocationLine("~ ^/v[0-9]+/"),
        ]).table()
        for (path, location) in [
            ("/img/a.gif", "~ \\.gif$"), ("/img/a.GIF", "~* \\.(gif|jpg)$"), ("/img/a.png", "/img/"),
            ("/raw/a.gif", "^~ /raw/"), ("/img/exact.gif", "= /img/exact.gif"), ("/v12/x", "~ ^/v[0-9]+/"),
            ("/v/x", "/"),
            ("/x.gif?y", "~ \\.gif$"), ("/x?y.gif", "/"), ("/a.%67if", "~ \\.gif$"),
        ] { #expect(routes(path) == location, "\(path)") }
    }

    @Test func nested() throws {
        var routes = try RouteFixture([
            LocationLine(
                "/app/",
                nested: [
                    LocationLine("/app/static/", nested: [LocationLine("~ \\.css$")]), LocationLine("= /app/login"),
                    LocationLine("~ \\.php$"),
                ]),
            LocationLine("~ \\.(php|css|txt)$"),
            LocationLine("^~ /quiet/", nested: [LocationLine("~ inner")]),
            LocationLine("~ ^/deep/", nested: [LocationLine("/deep/er"), LocationLine("~ x$")]),
        ]).table()
        for (path, location) in [
            ("/app/x", "/app/"), ("/app/login", "= /app/login"), ("/app/static/x", "/app/static/"),
            ("/app/static/x.css", "~ \\.css$"), ("/app/x.php", "~ \\.php$"), ("/app/static/x.php", "~ \\.php$"),
            ("/app/x.txt", "~ \\.(php|css|txt)$"), ("/quiet/x.txt", "^~ /quiet/"), ("/quiet/inner.txt", "~ inner"),
            ("/deep/a", "~ ^/deep/"), ("/deep/er", "/deep/er"), ("/deep/er/x", "~ x$"), ("/deep/ax", "~ x$"),
        ] { #expect(routes(path) == location, "\(path)") }
    }

    @Test func spellings() throws {
        var routes = try RouteFixture([
            LocationLine("/caf\u{e9}/"), LocationLine("/a b"), LocationLine("/%61pi"), LocationLine("/x%2fy"),
            LocationLine("/x"),
            LocationLine("/user@x"),
        ]).table()
        for (path, location) in [
            ("/caf%c3%A9/x", "/caf\u{e9}/"), ("/%63af%C3%A9", "/caf\u{e9}/"), ("/a%20b", "/a b"), ("/api/x", "/%61pi"),
            ("/%61%70i", "/%61pi"), ("/x%2Fy", "/x%2fy"), ("/x%2fy/z", "/x%2fy"), ("/x/y", "/x"),
            ("/x%2fyz", "fallback"),
            ("/user@x", "/user@x"), ("/%75ser@x", "/user@x"),
        ] { #expect(routes(path) == location, "\(path)") }
    }

    @Test func lengthOfThePrefixInTheForwardedPath() throws {
        var routes = try RouteFixture([
            LocationLine("/api/"), LocationLine("= /one"), LocationLine("~ x$"), LocationLine("/b"),
            LocationLine("/caf\u{e9}"),
        ]).table()
        for (path, count) in [
            ("/api/y", 5), ("/api", 4), ("/%61pi/y", 7), ("/one", 4), ("/qx", 0), ("/b/c", 2), ("/y", 0), ("/./b/c", 2),
            ("/caf%c3%a9/y", 10),
        ] { #expect(routes.prefix(path) == count, "\(path)") }
    }

    @Test("P01: the path that is matched has its dots resolved")
    func dots() throws {
        var routes = try RouteFixture([LocationLine("/api/admin/", "b"), LocationLine("/api/", "a")]).table()
        for (path, location) in [
            ("/./api/x", "/api/"), ("/x/../api/admin", "/api/admin/"), ("/x/%2e%2e/api/", "/api/"),
            ("/%61pi/", "/api/"),
            ("/api/admin/../x", "/api/"), ("/api/x/../admin/", "/api/admin/"),
        ] { #expect(routes(path) == location, "\(path)") }
        for path in ["/../api", "/api/../../x", "/%00", "/%zz", "/a%", "/a\\b"] {
            #expect(routes(path) == "path_invalid")
        }
    }

    @Test func manyLocations() throws {
        let lines = (0..<600).flatMap { [LocationLine("/service-\($0)/"), LocationLine("= /exact/\($0)")] }
        var routes = try RouteFixture(lines).table()
        for i in 0..<600 {
            #expect(routes("/service-\(i)/x") == "/service-\(i)/")
            #expect(routes("/service-\(i)") == "/service-\(i)/")
            #expect(routes("/exact/\(i)") == "= /exact/\(i)")
        }
        #expect(routes("/service-600/x") == "fallback")
        #expect(routes("/exact/") == "fallback")
    }

    @Test func mistakes() {
        let wrong = RouteFixture([LocationLine("~ a(b"), LocationLine("/x"), LocationLine("~* [")]).diagnostics()
        #expect(wrong.count == 2)
        #expect(wrong.first == "4: regular expression \"a(b\" is wrong after \"a(b\": missing closing parenthesis")
        let twice = RouteFixture([LocationLine("/api"), LocationLine("= /api"), LocationLine("/%61pi")]).diagnostics()
        #expect(twice == ["6: location \"/%61pi\" is never reached: the one of line 4 has the same path"])
        var names = RouteFixture()
        names.server([.pattern("(", SourcePosition(file: "f", line: 77, column: 1))])
        #expect(
            names.diagnostics() == ["77: regular expression \"(\" is wrong after \"(\": missing closing parenthesis"])
    }

    @Test("An expression that comes to no end refuses the path")
    func limits() throws {
        var routes = try RouteFixture([LocationLine("~ ^/(a+)+$"), LocationLine("/")]).table()
        #expect(routes("/aaaa") == "~ ^/(a+)+$")
        let clock = ContinuousClock()
        var verdict = ""
        let time = clock.measure { verdict = routes("/" + String(repeating: "a", count: 4000) + "!") }
        #expect(verdict == "path_ambiguous")
        #expect(time < .milliseconds(200), "\(time)")
    }
}
