// The sum of many workers' counters. Rows are joined by name, because two workers may run different generations of the
// configuration, in which one index stands for different routes.

package struct CounterTotals: Sendable, Equatable {
    /// Label of rows whose index named nothing: requests that were refused before a route was chosen.
    static let unknown = "-"

    package private(set) var tally = Tally()
    private(set) var routes = NamedRows(stride: Counters.routeStride)
    private(set) var upstreams = NamedRows(stride: UpstreamEvent.allCases.count)
    private(set) var reasons = NamedRows(stride: 1)
    /// By route and reason.
    private(set) var denials: [NamedDenial: UInt64] = [:]

    package init() {}

    package mutating func add(_ values: CounterValues) {
        tally += values.tally
        routes.add(values.routes, names: values.labels.routes)
        upstreams.add(values.upstreams, names: values.labels.upstreams)
        reasons.add(values.reasons, names: values.labels.reasons)
        for (denial, count) in values.denials {
            let name = NamedDenial(
                route: Self.name(denial.route, values.labels.routes),
                reason: Self.name(denial.reason, values.labels.reasons))
            denials[name, default: 0] &+= count
        }
    }
    package mutating func add(_ other: CounterTotals) {
        tally += other.tally
        routes.add(other.routes)
        upstreams.add(other.upstreams)
        reasons.add(other.reasons)
        denials.merge(other.denials) { $0 &+ $1 }
    }
    private static func name(_ index: Int, _ names: [String]) -> String {
        names.indices.contains(index) ? names[index] : unknown
    }
}

struct NamedDenial: Sendable, Hashable, Comparable {
    let route: String
    let reason: String

    static func < (a: NamedDenial, b: NamedDenial) -> Bool { (a.route, a.reason) < (b.route, b.reason) }
}

/// Rows of numbers, found by name, in the order in which the names were first seen.
struct NamedRows: Sendable, Equatable {
    let stride: Int
    private(set) var names: [String] = []
    private(set) var values: [UInt64] = []
    private var index: [String: Int] = [:]

    init(stride: Int) { self.stride = stride }

    /// One row for each name and one more for what had no name; that one appears only once it counted something.
    mutating func add(_ rows: [UInt64], names: [String]) {
        for (i, name) in names.enumerated() { add(rows[i * stride..<(i + 1) * stride], name) }
        let rest = rows[names.count * stride..<(names.count + 1) * stride]
        if rest.contains(where: { $0 != 0 }) { add(rest, CounterTotals.unknown) }
    }
    mutating func add(_ other: NamedRows) {
        for (i, name) in other.names.enumerated() { add(other.values[i * stride..<(i + 1) * stride], name) }
    }
    private mutating func add(_ row: ArraySlice<UInt64>, _ name: String) {
        let at: Int
        if let known = index[name] {
            at = known
        } else {
            at = names.count
            index[name] = at
            names.append(name)
            values.append(contentsOf: repeatElement(0, count: stride))
        }
        for (k, value) in row.enumerated() { values[at * stride + k] &+= value }
    }
    func row(_ i: Int) -> ArraySlice<UInt64> { values[i * stride..<(i + 1) * stride] }
}
