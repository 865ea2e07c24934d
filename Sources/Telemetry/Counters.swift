// What one worker counts while it works: plain integers in rows that were sized once, read by nobody else.
import Bytes

/// What the rows of counters stand for: names from the configuration alone, never from a request, so that no client can
/// make a metric grow.
package struct CounterLabels: Sendable, Equatable {
    package var routes: [String]
    package var upstreams: [String]
    /// Machine codes of refusals, in the order of their numbers.
    package var reasons: [String]

    package init(routes: [String], upstreams: [String], reasons: [String]) {
        self.routes = routes
        self.upstreams = upstreams
        self.reasons = reasons
    }
}

/// What happened on the way to an upstream.
package enum UpstreamEvent: Int, CaseIterable, Sendable {
    /// A connection was begun; an idle one was taken; a request was sent once more; an attempt came to nothing.
    case connect, reuse, retry, failure
}

/// One worker's counters under one generation of the configuration. Each method costs a handful of additions: no
/// look-up, no allocation. An index that is out of range counts in a row of its own and never elsewhere.
package struct Counters: ~Copyable {
    /// One route's row: status classes 0 (no status was sent) to 5, the histogram, the sum of nanoseconds.
    static let statusClasses = 6
    static let routeStride = statusClasses + LatencyBuckets.count + 1

    package var tally = Tally()
    package let labels: CounterLabels
    private let routeCount: Int, upstreamCount: Int, reasonCount: Int
    private var routes: FixedArray<UInt64>
    private var upstreams: FixedArray<UInt64>
    private var reasons: FixedArray<UInt64>
    /// What `auth_mode report` let pass: by route and reason, of which most pairs never occur.
    private var denials: [Denial: UInt64] = [:]

    package init(_ labels: CounterLabels) {
        self.labels = labels
        routeCount = labels.routes.count
        upstreamCount = labels.upstreams.count
        reasonCount = labels.reasons.count
        routes = FixedArray(repeating: 0, count: (routeCount + 1) * Self.routeStride)
        upstreams = FixedArray(repeating: 0, count: (upstreamCount + 1) * UpstreamEvent.allCases.count)
        reasons = FixedArray(repeating: 0, count: reasonCount + 1)
    }

    /// A request is over: `status` is what the client was sent, 0 for nothing; from the head's last byte to the end.
    package mutating func request(route: Int, status: Int, nanoseconds: UInt64) {
        let row = (route >= 0 && route < routeCount ? route : routeCount) &* Self.routeStride
        let statusClass = status >= 100 && status < 600 ? status / 100 : 0
        routes[row &+ statusClass] &+= 1
        routes[row &+ Self.statusClasses &+ LatencyBuckets.index(nanoseconds: nanoseconds)] &+= 1
        routes[row &+ Self.statusClasses &+ LatencyBuckets.count] &+= nanoseconds
    }
    /// A request was refused for the reason with this number.
    package mutating func rejected(_ reason: Int) {
        reasons[reason >= 0 && reason < reasonCount ? reason : reasonCount] &+= 1
    }
    /// A request of a route that only reports would have been refused for that reason.
    package mutating func wouldDeny(route: Int, reason: Int) {
        denials[Denial(route: min(max(route, 0), routeCount), reason: min(max(reason, 0), reasonCount)), default: 0] &+=
            1
    }
    package mutating func upstream(_ upstream: Int, _ event: UpstreamEvent) {
        let row = upstream >= 0 && upstream < upstreamCount ? upstream : upstreamCount
        upstreams[row &* 4 &+ event.rawValue] &+= 1
    }

    /// A copy that another thread may have.
    package borrowing func values() -> CounterValues {
        CounterValues(
            labels: labels, tally: tally, routes: Self.copy(routes), upstreams: Self.copy(upstreams),
            reasons: Self.copy(reasons), denials: denials)
    }
    private static func copy(_ row: borrowing FixedArray<UInt64>) -> [UInt64] {
        var copy: [UInt64] = []
        copy.reserveCapacity(row.count)
        for i in 0..<row.count { copy.append(row[i]) }
        return copy
    }
}

/// Counters as they were at one moment, with the names of their rows; the last row of each is for an unknown index.
package struct CounterValues: Sendable, Equatable {
    package let labels: CounterLabels
    package var tally: Tally
    let routes: [UInt64]
    let upstreams: [UInt64]
    let reasons: [UInt64]
    let denials: [Denial: UInt64]
}

/// Numbers of a route and of a reason.
struct Denial: Sendable, Hashable {
    let route: Int
    let reason: Int
}
