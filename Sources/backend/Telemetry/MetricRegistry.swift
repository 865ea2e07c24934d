// Counters and gauges of the whole backend, as Prometheus reads them.
import Synchronization

/// Shared by every part that counts; each count is one short lock.
final class MetricRegistry: Sendable {
    private struct Family {
        let help: String
        let kind: String
        /// By the labels as they are printed.
        var values: [String: Double] = [:]
        var gauge: (@Sendable () -> [String: Double])?
    }

    private let families = Mutex<[String: Family]>([:])

    /// Declares a counter; `labels` are those that shall read 0 before the first event.
    func counter(_ name: String, _ help: String, labels: [String] = []) {
        families.withLock { families in
            var family = Family(help: help, kind: "counter")
            for label in labels { family.values[label] = 0 }
            families[name] = family
        }
    }

    /// Declares a gauge that is read when it is asked for.
    func gauge(_ name: String, _ help: String, read: @escaping @Sendable () -> Double) {
        gauge(name, help) { ["": read()] }
    }

    /// Declares a gauge with a value for each of the labels that `read` returns.
    func gauge(_ name: String, _ help: String, read: @escaping @Sendable () -> [String: Double]) {
        families.withLock { $0[name] = Family(help: help, kind: "gauge", gauge: read) }
    }

    /// Adds to a declared counter; `label` as in `result="ok"`, of fixed words only, so that their number is bounded.
    func add(_ name: String, label: String = "", by amount: Double = 1) {
        families.withLock { $0[name]?.values[label, default: 0] += amount }
    }

    /// The text format 0.0.4 of Prometheus.
    var text: String {
        let families = families.withLock { $0 }
        var lines: [String] = []
        for (name, family) in families.sorted(by: { $0.key < $1.key }) {
            lines += ["# HELP \(name) \(family.help)", "# TYPE \(name) \(family.kind)"]
            let values = family.gauge?() ?? family.values
            for (label, value) in values.sorted(by: { $0.key < $1.key }) {
                lines.append("\(name)\(label.isEmpty ? "" : "{\(label)}") \(Self.number(value))")
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func number(_ value: Double) -> String {
        Int64(exactly: value).map { "\($0)" } ?? "\(value)"
    }
}
