// The page of metrics keeps to the text format, version 0.0.4.
import Telemetry
import Testing

struct ExpositionTests {
    private static func render(routes: [String] = ["/api/"], keySets: [KeySetGauges] = []) -> String {
        var counters = Counters(CounterLabels(routes: routes, upstreams: ["orders"], reasons: ["not_found"]))
        counters.request(route: 0, status: 200, nanoseconds: 1_500_000)
        var totals = CounterTotals()
        totals.add(counters.values())
        var block = RevocationGauges(name: "logouts")
        block.received = [("feed", 5), ("redis", 6)]
        block.errors = [("feed", 1), ("redis", 0)]
        block.ageSeconds = 7
        var revocations = RevocationTotals()
        revocations.blocks = [block, RevocationGauges(name: "partners")]
        return text(
            Exposition.render(
                totals, process: ProcessGauges(), keySets: keySets, revocations: revocations, wallSeconds: 1000))
    }

    @Test func `every sample belongs to the family before it, and no family comes twice`() throws {
        let lines = Self.render(keySets: [KeySetGauges(provider: "main")]).split(separator: "\n")
        var family = "", seen: Set<String> = []
        for line in lines {
            if line.hasPrefix("# HELP ") { continue }
            if line.hasPrefix("# TYPE ") {
                family = String(line.split(separator: " ")[2])
                #expect(seen.insert(family).inserted, "\(family) twice")
                #expect(lines.contains { $0.hasPrefix("# HELP \(family) ") })
                continue
            }
            let name = line.prefix { $0 != "{" && $0 != " " }
            let suffixes = ["", "_bucket", "_sum", "_count"]
            #expect(suffixes.contains { name == family + $0 }, "\(line) after \(family)")
            #expect(name.hasPrefix("gateway_"))
            #expect(
                try /[a-z0-9_]+(\{[a-z]+="([^"\\\n]|\\.)*"(,[a-z]+="([^"\\\n]|\\.)*")*\})? [0-9]+(\.[0-9]+)?/
                    .wholeMatch(
                        in: line) != nil, "\(line)")
        }
    }

    @Test func `no series comes twice`() {
        let samples = Self.render(routes: ["/", "/", "/x"]).split(separator: "\n").filter { !$0.hasPrefix("#") }
        let series = samples.map { $0[..<$0.lastIndex(of: " ")!] }
        #expect(Set(series).count == series.count)
    }

    @Test func `labels are escaped`() {
        let page = Self.render(routes: ["~ \"^/a\\d\"\n"])
        #expect(page.contains("route=\"~ \\\"^/a\\\\d\\\"\\n\",status=\"2xx\"} 1"))
    }

    @Test func `the age of keys is known once they were fetched`() {
        var fetched = KeySetGauges(provider: "main")
        fetched.lastSuccessWallSeconds = 940
        fetched.keys = 2
        fetched.fetchErrors = [
            ReasonCount(reason: "timeout", count: 1), ReasonCount(reason: "status", count: 0),
        ]
        let page = Self.render(keySets: [fetched, KeySetGauges(provider: "other")])
        #expect(page.contains("gateway_jwks_age_seconds{provider=\"main\"} 60\n"))
        #expect(page.contains("gateway_jwks_last_success_timestamp_seconds{provider=\"main\"} 940\n"))
        #expect(page.contains("gateway_jwks_keys{provider=\"main\"} 2\n"))
        #expect(page.contains("gateway_jwks_fetch_errors_total{provider=\"main\",reason=\"timeout\"} 1\n"))
        #expect(!page.contains("gateway_jwks_age_seconds{provider=\"other\"}"))
        #expect(page.contains("gateway_jwks_keys{provider=\"other\"} 0\n"))
    }
}
