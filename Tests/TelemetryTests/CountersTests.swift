// Counting and summing.
import Bytes
import Telemetry
import Testing

struct CountersTests {
    private static let labels = CounterLabels(
        routes: ["/api/", "= /healthz"], upstreams: ["orders"], reasons: ["token_missing", "not_found"])

    private static func page(_ totals: CounterTotals) -> [Substring] {
        text(Exposition.render(totals, process: ProcessGauges(), keySets: [], wallSeconds: 0)).split(separator: "\n")
    }
    private static func page(_ all: [CounterValues]) -> [Substring] {
        var totals = CounterTotals()
        for values in all { totals.add(values) }
        return page(totals)
    }

    @Test func `requests fall into their route, status class and bucket`() {
        var counters = Counters(Self.labels)
        counters.request(route: 0, status: 200, nanoseconds: 500_000)
        counters.request(route: 0, status: 204, nanoseconds: 500_001)
        counters.request(route: 0, status: 401, nanoseconds: 20_000_000_000)
        counters.request(route: 1, status: 0, nanoseconds: 1)
        let page = Self.page([counters.values()])
        #expect(page.contains("gateway_requests_total{route=\"/api/\",status=\"2xx\"} 2"))
        #expect(page.contains("gateway_requests_total{route=\"/api/\",status=\"4xx\"} 1"))
        #expect(page.contains("gateway_requests_total{route=\"= /healthz\",status=\"none\"} 1"))
        #expect(page.contains("gateway_request_duration_seconds_bucket{route=\"/api/\",le=\"0.0005\"} 1"))
        #expect(page.contains("gateway_request_duration_seconds_bucket{route=\"/api/\",le=\"0.001\"} 2"))
        #expect(page.contains("gateway_request_duration_seconds_bucket{route=\"/api/\",le=\"10\"} 2"))
        #expect(page.contains("gateway_request_duration_seconds_bucket{route=\"/api/\",le=\"+Inf\"} 3"))
        #expect(page.contains("gateway_request_duration_seconds_sum{route=\"/api/\"} 20.001000001"))
        #expect(page.contains("gateway_request_duration_seconds_count{route=\"/api/\"} 3"))
    }

    @Test(arguments: [-1, 2, Int.max, Int.min])
    func `an index that names nothing counts apart and never elsewhere`(index: Int) {
        var counters = Counters(Self.labels)
        counters.request(route: index, status: 400, nanoseconds: 0)
        counters.rejected(index)
        counters.upstream(index, .retry)
        let page = Self.page([counters.values()])
        #expect(page.contains("gateway_requests_total{route=\"-\",status=\"4xx\"} 1"))
        #expect(page.contains("gateway_rejected_total{reason=\"-\"} 1"))
        #expect(page.contains("gateway_upstream_retries_total{upstream=\"-\"} 1"))
        #expect(page.contains("gateway_requests_total{route=\"/api/\",status=\"4xx\"} 0"))
        #expect(page.contains("gateway_rejected_total{reason=\"token_missing\"} 0"))
    }

    @Test(arguments: [(99, "none"), (100, "1xx"), (599, "5xx"), (600, "none"), (-5, "none")])
    func `odd statuses count as none`(status: Int, label: String) {
        var counters = Counters(Self.labels)
        counters.request(route: 0, status: status, nanoseconds: 0)
        #expect(
            Self.page([counters.values()]).contains("gateway_requests_total{route=\"/api/\",status=\"\(label)\"} 1"))
    }

    @Test func `workers with different configurations are summed by name`() {
        var old = Counters(Self.labels)
        var new = Counters(CounterLabels(routes: ["= /new", "/api/"], upstreams: [], reasons: ["not_found"]))
        old.request(route: 0, status: 200, nanoseconds: 1)
        old.rejected(1)
        old.upstream(0, .connect)
        new.request(route: 1, status: 200, nanoseconds: 1)
        new.request(route: 0, status: 200, nanoseconds: 1)
        new.rejected(0)
        for order in [[old.values(), new.values()], [new.values(), old.values()]] {
            let page = Self.page(order)
            #expect(page.contains("gateway_requests_total{route=\"/api/\",status=\"2xx\"} 2"))
            #expect(page.contains("gateway_requests_total{route=\"= /new\",status=\"2xx\"} 1"))
            #expect(page.contains("gateway_rejected_total{reason=\"not_found\"} 2"))
            #expect(page.contains("gateway_upstream_connects_total{upstream=\"orders\"} 1"))
        }
    }

    @Test func `two routes of one name make one series`() {
        var counters = Counters(CounterLabels(routes: ["/", "/"], upstreams: [], reasons: []))
        counters.request(route: 0, status: 200, nanoseconds: 1)
        counters.request(route: 1, status: 200, nanoseconds: 1)
        let series = Self.page([counters.values()]).filter {
            $0.hasPrefix("gateway_requests_total{route=\"/\",status=\"2xx\"}")
        }
        #expect(series == ["gateway_requests_total{route=\"/\",status=\"2xx\"} 2"])
    }

    @Test func `connections that one generation opened another may close`() {
        var old = Counters(Self.labels), new = Counters(Self.labels)
        old.tally.connectionsActive = 3
        new.tally.connectionsActive = -2
        #expect(Self.page([old.values(), new.values()]).contains("gateway_connections_active 1"))
    }

    @Test func `totals that were kept of an earlier generation add up`() {
        var counters = Counters(Self.labels)
        counters.request(route: 1, status: 200, nanoseconds: 5)
        counters.tally.tokenCacheHits = 7
        var retired = CounterTotals()
        retired.add(counters.values())
        var totals = CounterTotals()
        totals.add(counters.values())
        totals.add(retired)
        let page = Self.page(totals)
        #expect(page.contains("gateway_requests_total{route=\"= /healthz\",status=\"2xx\"} 2"))
        #expect(page.contains("gateway_jwt_cache_hits_total 14"))
    }
}
