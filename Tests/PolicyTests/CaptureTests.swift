// Rules that look at what a location's expression captured of the path, and paths that some server reads with another value
// (P02).
import Configuration
import HTTP
import Policy
import Testing

@Suite struct CaptureTests {
    private static let tenants = #"""
        location ~ "^/t/(?<tenant>[A-Za-z0-9._%:-]+)/" {
            require claim tenant = $tenant;
            location ~ "/v(?<version>[0-9]+)/" { require claim tenant = "$tenant-$version"; }
        }
        location /t/ { require claim x exists; }
        """#

    /// Location and captured values of a path, or the code of the refusal.
    private func found(_ path: String, _ text: String = tenants) throws -> String {
        let fixture = try RuleFixture(text)
        var diagnostics: [Diagnostic] = []
        guard var table = RouteTable.compile(fixture.configuration, &diagnostics) else { return diagnostics[0].message }
        var head = RequestHead()
        let bytes = Array("GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
        guard case .complete = head.parse(bytes.span, limits: HTTPLimits()) else { return "no request" }
        switch table.match(head, listener: 0) {
        case .refused(let response, _): return "\(response.code)"
        case .route(let location, _):
            var groups = CapturedGroups()
            table.capture(head, location: location, into: &groups)
            let values = (0..<groups.count).map { i in
                String(decoding: groups[i].indices.map { groups[i][$0] }, as: UTF8.self)
            }
            return ([fixture.configuration.locations[location].name] + values).joined(separator: " ")
        }
    }

    private static let outer = "~ ^/t/(?<tenant>[A-Za-z0-9._%:-]+)/"

    @Test func values() throws {
        #expect(try found("/t/acme/x") == Self.outer + " acme")
        #expect(try found("/t/acme/v12/") == "~ /v(?<version>[0-9]+)/ acme 12")
        #expect(try found("/t/a%63me/x") == Self.outer + " acme")
        #expect(try found("/x/../t/acme/x?t=b") == Self.outer + " acme")
        #expect(try found("/t/a%3Ab/x") == Self.outer + " a:b")
        #expect(try found("/t/") == "/t/")
    }

    @Test(arguments: [
        // Another value where slashes, parameters or escapes are read otherwise, or case does not count.
        "/t/acme%2fother/x", "/t/acme%5cother/x", "/t/acme%252e/x", "/t/ac%256de/x", "/t/acme%3bx/y", "/t/ACME/x",
        "/t/Acme/x",
        "/t/acme%00/x", "/t/acme%20/x", "/t/acme./x", "/t//acme/x", "/t/%2e%2e%2ft/other/x", "/t/acme%c0%aex/y",
        "/t/acme%3fx/y", "/t/acme%23x/y",
    ])
    func p02OtherValues(_ path: String) throws {
        let answer = try found(path)
        #expect(answer == "path_ambiguous" || answer == "path_invalid", "\(path): \(answer)")
    }

    @Test func p02WhereNothingDependsOnIt() throws {
        let text = Self.tenants.replacing("claim tenant = $tenant;", with: "claim tenant exists;")
            .replacing("\"$tenant-$version\"", with: "x").replacing("claim x exists", with: "claim tenant exists")
        #expect(try found("/t/ACME/x", text) == Self.outer)
    }

    /// The same rule in two locations asks for two things.
    @Test func p02EqualRulesOfTwoLocations() throws {
        let text = #"""
            location ~ "^/a/(?<n>[a-z]+)" { require claim n = $n; }
            location ~ "^/a;x/(?<n>[a-z]+)" { require claim n = $n; }
            """#
        #expect(try found("/a;x/bc", text) == "path_ambiguous")
        #expect(try found("/a/bc", text) == "~ ^/a/(?<n>[a-z]+) bc")
    }

    @Test func groupsThatTakeNoPart() throws {
        let text = #"location ~ "^/(?<a>x)?(?<b>y)?" { require claim n = "$a$b"; }"#
        #expect(try found("/y", text) == "~ ^/(?<a>x)?(?<b>y)?  y")
        #expect(try found("/", text) == "~ ^/(?<a>x)?(?<b>y)?  ")
    }

    @Test func groupsThatAreNotThere() throws {
        let text = #"location ~ "^/[(?<a>x)]" { require claim n = $a; }"#
        #expect(try found("/x", text) == #"no regular expression around has exactly one group called "a""#)
    }
}
