// The fixed buckets of every latency histogram.

/// Upper bounds from half a millisecond, where a proxied answer from the same host lies, to ten seconds.
package enum LatencyBuckets {
    /// The last one has no upper bound.
    package static let count = 15

    /// Which bucket a duration falls into: the first whose bound is not below it.
    @inline(__always) static func index(nanoseconds: UInt64) -> Int {
        switch nanoseconds {
        case ...500_000: 0
        case ...1_000_000: 1
        case ...2_500_000: 2
        case ...5_000_000: 3
        case ...10_000_000: 4
        case ...25_000_000: 5
        case ...50_000_000: 6
        case ...100_000_000: 7
        case ...250_000_000: 8
        case ...500_000_000: 9
        case ...1_000_000_000: 10
        case ...2_500_000_000: 11
        case ...5_000_000_000: 12
        case ...10_000_000_000: 13
        default: 14
        }
    }

    /// The bounds in seconds, as the label `le` shows them.
    static let bounds = [
        "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10",
        "+Inf",
    ]
}
