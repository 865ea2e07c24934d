// Which token each of many requests brings: traces of a fixed seed.
import Foundation
import Testing

struct RequestTrace: Sendable, CustomTestStringConvertible {
    let name: String
    /// Different tokens.
    let items: Int
    /// Verdicts that the cache may hold.
    let limit: Int
    let requests: [Int32]

    var testDescription: String { name }

    /// The token of rank r is asked for in proportion to r^-skew.
    static func zipf(_ skew: Double, tokens: Int, limit: Int, count: Int) -> RequestTrace {
        var ranks = ZipfRanks(tokens: tokens, skew: skew)
        return RequestTrace(
            name: "Zipf \(skew), \(tokens) tokens", items: tokens, limit: limit,
            requests: (0..<count).map { _ in ranks.next() })
    }

    /// Zipf all the time; in the middle half of it every second request brings a token that nobody sees again.
    static func zipfWithScan(_ skew: Double, tokens: Int, limit: Int, count: Int) -> RequestTrace {
        var ranks = ZipfRanks(tokens: tokens, skew: skew)
        var requests: [Int32] = []
        var once = Int32(tokens)
        for i in 0..<count {
            requests.append(ranks.next())
            if i >= count / 4 && i < count * 3 / 4 {
                requests.append(once)
                once += 1
            }
        }
        return RequestTrace(
            name: "Zipf \(skew) with \(Int(once) - tokens) used once", items: Int(once), limit: limit,
            requests: requests)
    }

    /// All tokens in turn, again and again.
    static func loop(tokens: Int, limit: Int, count: Int) -> RequestTrace {
        RequestTrace(
            name: "loop of \(tokens)", items: tokens, limit: limit, requests: (0..<count).map { Int32($0 % tokens) })
    }
}

/// Draws ranks from 0 by the alias method (Walker 1974).
private struct ZipfRanks {
    private var random = SeededRandom(seed: 11)
    private var chances: [Double]
    private var aliases: [Int32]

    init(tokens: Int, skew: Double) {
        var weights = (0..<tokens).map { pow(Double($0 + 1), -skew) }
        let mean = weights.reduce(0, +) / Double(tokens)
        chances = Array(repeating: 1, count: tokens)
        aliases = Array(repeating: 0, count: tokens)
        var poor: [Int] = [], rich: [Int] = []
        for i in weights.indices {
            weights[i] /= mean
            if weights[i] < 1 { poor.append(i) } else { rich.append(i) }
        }
        while let low = poor.popLast(), let high = rich.last {
            chances[low] = weights[low]
            aliases[low] = Int32(high)
            weights[high] -= 1 - weights[low]
            if weights[high] < 1 { poor.append(rich.removeLast()) }
        }
    }

    mutating func next() -> Int32 {
        let column = Int(random.next() % UInt64(chances.count))
        let chance = Double(random.next() >> 11) * 0x1p-53
        return chance < chances[column] ? Int32(column) : aliases[column]
    }
}
