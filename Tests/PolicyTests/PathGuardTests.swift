// The path guard: what some server reads as a path of other access is refused, and nothing else is (P02, P03, P05).
import Configuration
import Policy
import Testing

@Suite struct PathGuardTests {
    private static let lines = [
        LocationLine("/api/", "read:data"), LocationLine("/api/admin/", "read:admin"), LocationLine("/public/"),
        LocationLine("/files/", "read:data"), LocationLine("/shop"), LocationLine("= /login"),
        LocationLine("/admin", "read:admin"),
        LocationLine("/raw/", pathGuard: false),
    ]

    @Test(
        "P02: a reading with other access",
        arguments: [
            // slashes merged
            "//api//admin", "/api//admin", "//api/x", "/public//..%2fapi/x",
            // escaped slashes
            "/public/..%2fapi", "/public/..%2Fapi%2Fadmin", "/api%2fadmin", "/api/%2e%2e%2fpublic",
            "/public%2f..%2fapi",
            "/public/..%5capi", "/api%5Cadmin", "/api/x%5c..%5cadmin",
            // parameters
            "/api;x=/public", "/api/;x/admin", "/public/..;/api", "/public/..;a=b/api", "/;x/admin", "/admin;/",
            "/api;x/admin",
            "/public/%2e%2e;/api", "/public/..%3b/api",
            // decoded twice
            "/public/%252e%252e/api", "/public/..%252fapi", "/%2561dmin", "/api/%2561dmin", "/public/%25%32e./api",
            "/public/%25252e%25252e/api",
            // overlong and full-width forms
            "/public/%c0%ae%c0%ae/api", "/public/..%c0%afapi", "/public/%e0%80%ae%e0%80%ae/api",
            "/public/..%ef%bc%8fapi",
            "/public/%ef%bc%8e%ef%bc%8e/api", "/%ef%bd%81dmin", "/public/%f0%80%80%ae./api", "/public/..%c1%9capi",
            "/public/%25c0%25ae./api",
            // case
            "/API/admin", "/Admin", "/api/ADMIN/x", "/PUBLIC/x", "/Login",
            // ends of segments
            "/api/admin.", "/admin.", "/admin%20", "/admin%20.%20/x", "/admin../x", "/api/admin%20/x",
            "/public/..%20/api",
            // controls
            "/admin%0a", "/%09admin", "/adm%0din", "/public/.%09./api", "/login%0a",
            // cut
            "/admin%3f", "/admin%23x", "/api/admin%3fx", "/admin%3F/x", "/admin%2500", "/admin%253fx",
            // blank segments
            "/%20/admin", "/api/%20/admin", "/api/%20%20/admin/x",
            // several at once
            "/public;a/.%252e/ADMIN", "/x%2f%2e%2e%2f%2fAdmin.%20;v", "/public/%09..;%0a%2f/api",
        ])
    func refused(path: String) throws {
        var routes = try RouteFixture(Self.lines, fallback: "main").table()
        #expect(routes(path) == "path_ambiguous")
        #expect(routes(path + "?a=b") == "path_ambiguous")
    }

    @Test(
        "P03: every reading has the same access",
        arguments: [
            ("/files/a%2Fb", "/files/"), ("/shop;v=1", "fallback"), ("/shop/a;v=1", "/shop"),
            ("/files/A/B.C", "/files/"),
            ("/files/a%20b%3Fc", "/files/"), ("/files/100%25", "/files/"), ("/files//a", "/files/"),
            ("/files/a./b.", "/files/"),
            ("/files/%E2%82%AC", "/files/"), ("/files/a%252Fb", "/files/"), ("/files/a%5Cb", "/files/"),
            ("/files/x/..%2fy", "/files/"), ("/public//../a", "/public/"), ("/admin%3F/../public/x", "/public/"),
            ("/public/%c0%ae", "/public/"), ("/api/admin/X%2FY;z=1.", "/api/admin/"),
            ("/files/Signed%2BUrl%3D%3D", "/files/"), ("/Unknown", "fallback"), ("/unknown/%2e%2e%2fx", "fallback"),
        ])
    func accepted(path: String, location: String) throws {
        // `/shop;v=1` is `/shop` to some: that has to be as open as what is around it.
        var routes = try RouteFixture(Self.lines).table()
        #expect(routes(path) == location)
    }

    @Test("A location with the guard off: only P01 and P04 are left")
    func off() throws {
        var routes = try RouteFixture(Self.lines, fallback: "main").table()
        for path in ["/raw/..%2fapi", "/raw/..;/admin", "/raw//", "/raw/A%5cB", "/raw/%252e%252e/api", "/raw"] {
            #expect(routes(path) == "/raw/", "\(path)")
        }
        #expect(routes("/raw/../api/x") == "/api/")
        #expect(routes("/raw/%zz") == "path_invalid")
        #expect(routes("/raw/../../x") == "path_invalid")
    }

    @Test("One access everywhere: nothing to guard")
    func uniform() throws {
        var routes = try RouteFixture([LocationLine("/api/", "a"), LocationLine("/b/", "a")], fallback: "a").table()
        #expect(routes("/api/..%2fb/;x//%252f") == "/api/")
        #expect(routes("/B/..%5c") == "fallback")
    }

    @Test("The refusal names the location that the path itself belongs to")
    func route() throws {
        var routes = try RouteFixture(Self.lines, fallback: "main").table()
        guard case .refused(.pathAmbiguous, let route)? = routes.verdict("/public/..;/api") else {
            Issue.record("not refused")
            return
        }
        #expect(routes.configuration.locations[route].name == "/public/")
    }

    @Test func locationsInUpperCase() throws {
        var routes = try RouteFixture([
            LocationLine("/Admin/", "a"), LocationLine("/"), LocationLine("~ ^/Shop[0-9]", "b"),
        ]).table()
        #expect(routes("/Admin/x") == "/Admin/")
        #expect(routes("/admin/x") == "path_ambiguous")
        #expect(routes("/ADMIN/x") == "path_ambiguous")
        #expect(routes("/Shop1") == "~ ^/Shop[0-9]")
        #expect(routes("/shop1") == "path_ambiguous")
        #expect(routes("/other") == "/")
    }

    @Test("Locations that differ in case only stay reachable in their own spelling")
    func twins() throws {
        var routes = try RouteFixture([
            LocationLine("/Data/", "a"), LocationLine("/data/"), LocationLine("/DATA/", "a"),
        ]).table()
        #expect(routes("/Data/x") == "/Data/")
        #expect(routes("/data/x") == "/data/")
        #expect(routes("/DATA") == "/DATA/")
        #expect(routes("/dATA/x") == "path_ambiguous")
        #expect(routes("/data/A%2fb") == "/data/")
        #expect(routes("/data/..%2fData/x") == "path_ambiguous")
    }

    @Test func nestedLocationsAndExpressions() throws {
        var routes = try RouteFixture(
            [
                LocationLine("/app/", nested: [LocationLine("/app/inner/", "a"), LocationLine("~ \\.key$", "b")]),
                LocationLine("~ ^/t/[a-z]+/secret", "a"), LocationLine("/t/"),
            ]
        ).table()
        for path in [
            "/app/x/..%2finner/y", "/app/INNER/x", "/app//inner/", "/app/a.key%00", "/app/a%2ekey;x", "/app/a.KEY",
            "/app/a.key.",
            "/t/abc//secret", "/t/abc/%2573ecret", "/t/ABC/Secret",
        ] {
            let verdict = routes(path)
            #expect(verdict == (path.contains("%00") ? "path_invalid" : "path_ambiguous"), "\(path)")
        }
        #expect(routes("/app/x%2Fy") == "/app/")
        #expect(routes("/app/inner/A%2Fb") == "/app/inner/")
        #expect(routes("/app/a.key") == "~ \\.key$")
        #expect(routes("/t/ABC/") == "/t/")
    }

    @Test("Escaped and non-ASCII locations are found by decoded readings, too")
    func spellings() throws {
        var routes = try RouteFixture([
            LocationLine("/caf\u{e9}/", "a"), LocationLine("/user@home/", "b"),
            LocationLine("/a%2Fb/", "c", pathGuard: false),
            LocationLine("/q%3Fx", "d"),
        ]).table()
        #expect(routes("/caf%C3%A9/x") == "/caf\u{e9}/")
        #expect(routes("/caf%25C3%25A9/x") == "path_ambiguous")
        #expect(routes("/user@home/x") == "/user@home/")
        #expect(routes("/user%40home/x") == "path_ambiguous")
        #expect(routes("/a%2fb/x") == "/a%2Fb/")
        #expect(routes("/a%252fb/x") == "path_ambiguous")
        #expect(routes("/q%253Fx") == "path_ambiguous")
    }

    @Test("A plain path that decodes to the same as a location with escapes")
    func decodedSpelling() throws {
        var routes = try RouteFixture([LocationLine("/user%40home/", "b"), LocationLine("/")]).table()
        #expect(routes("/user%40home/x") == "/user%40home/")
        #expect(routes("/user@home/x") == "path_ambiguous")
        #expect(routes("/user/x") == "/")
    }

    @Test("P05: 8 KiB made to be read in many ways cost little")
    func cost() throws {
        var routes = try RouteFixture(Self.lines, fallback: "main").table()
        let clock = ContinuousClock()
        for piece in ["%252f;/../", "%252f;x//a.%20/", "%25", "./;%2f"] {
            let path = "/public/" + String(repeating: piece, count: 8192 / piece.utf8.count)
            var verdict = ""
            let time = clock.measure { verdict = routes(path) }
            #expect(["path_ambiguous", "/public/"].contains(verdict), "\(piece): \(verdict)")
            #expect(time < .milliseconds(500), "\(piece): \(time)")
        }
    }
}
