// How many requests find the verdict on their token, beside the least recently used order and the second-chance clock that
// other gateways use. With HIT_RATIO_TABLE set, traces are ten times as long and the table is written to that file.
import Bytes
import Foundation
import JOSE
import Testing

@testable import Policy

@Suite struct HitRatioTests {
    private static let tableFile = ProcessInfo.processInfo.environment["HIT_RATIO_TABLE"]
    private static let scale = tableFile == nil ? 1 : 10

    private struct Row {
        let trace: RequestTrace
        let ours: Double
        let leastRecentlyUsed: Double
        let secondChance: Double

        init(_ trace: RequestTrace) {
            self.trace = trace
            ours = cacheRatio(trace)
            leastRecentlyUsed = ratio(LeastRecentlyUsed.self, trace)
            secondChance = ratio(SecondChance.self, trace)
        }

        var text: String {
            func percent(_ value: Double) -> String { String(format: "%9.2f", value * 100) }
            let name = trace.name.padding(toLength: 38, withPad: " ", startingAt: 0)
            return name + String(format: "%8d", trace.limit) + percent(ours) + percent(leastRecentlyUsed)
                + percent(secondChance)
        }
    }

    @Test func `no trace finds fewer verdicts than in the order of use`() throws {
        let title = "hit ratio in per cent".padding(toLength: 38, withPad: " ", startingAt: 0)
        var lines = [title + " entries  S3-FIFO      LRU    clock"]
        for skew in [0.6, 0.8, 1.0, 1.2] {
            for limit in [100, 1000] {
                let row = Row(
                    .zipf(skew, tokens: 10_000 * Self.scale, limit: limit * Self.scale, count: 100_000 * Self.scale))
                #expect(row.ours >= row.leastRecentlyUsed && row.ours >= row.secondChance, "\(row.text)")
                lines.append(row.text)
            }
        }
        let scanned = Row(
            .zipfWithScan(1.0, tokens: 10_000 * Self.scale, limit: 1000 * Self.scale, count: 200_000 * Self.scale))
        #expect(scanned.ours > scanned.leastRecentlyUsed + 0.01, "\(scanned.text)")
        let loop = Row(.loop(tokens: 1500 * Self.scale, limit: 1000 * Self.scale, count: 60_000 * Self.scale))
        #expect(loop.leastRecentlyUsed == 0 && loop.ours > 0.3, "\(loop.text)")
        lines += [scanned.text, loop.text]
        if let file = Self.tableFile {
            try (lines.joined(separator: "\n") + "\n").write(toFile: file, atomically: true, encoding: .utf8)
        }
    }

    /// A million tokens that are used once come by, and nobody who was there before is lost.
    @Test func `a scan leaves those alone who are asked for`() {
        let hot = 20_000
        var cache = VerificationCache(limit: 50_000, byteLimit: 64 << 20)
        for _ in 0..<3 {
            for token in 0..<hot { lookUp(token, in: &cache) }
        }
        for token in hot..<hot + 1_000_000 { lookUp(token, in: &cache) }
        var kept = 0
        for token in 0..<hot where cache.find(key(of: token)) != nil { kept += 1 }
        #expect(kept * 100 >= hot * 99, "\(kept) of \(hot)")
        #expect(cache.count == 50_000)
    }
}

private func cacheRatio(_ trace: RequestTrace) -> Double {
    var cache = VerificationCache(limit: trace.limit, byteLimit: .max)
    var hits = 0
    for token in trace.requests where lookUp(Int(token), in: &cache) { hits += 1 }
    return Double(hits) / Double(trace.requests.count)
}

private func ratio<Reference: ReferenceCache>(_: Reference.Type, _ trace: RequestTrace) -> Double {
    var cache = Reference(limit: trace.limit, items: trace.items)
    var hits = 0
    for token in trace.requests where cache.lookUp(Int(token)) { hits += 1 }
    return Double(hits) / Double(trace.requests.count)
}

/// As the authenticator does it: the exchange holds what it found or what was verified.
@discardableResult
private func lookUp(_ token: Int, in cache: inout VerificationCache) -> Bool {
    let key = key(of: token)
    let found = cache.find(key)
    guard let id = found ?? insert(key, into: &cache) else { return false }
    cache.hold(id)
    cache.release(id)
    return found != nil
}

private func insert(_ key: SHA256Value, into cache: inout VerificationCache) -> SlotID? {
    let validity = CacheEntry.Validity(goodUntil: .max, keyGeneration: 0, keySerial: 0, goodFrom: .min)
    let nobody = Identity(subjectCount: 0, showsPermissions: false, mainCount: 0, fieldCount: 0)
    return cache.insert(key, validity, nobody, ByteBuffer(capacity: 0), now: 0)
}

/// Stands for the SHA-256 of a token.
private func key(of token: Int) -> SHA256Value {
    var random = SeededRandom(seed: UInt64(token) &* 0xd134_2543_de82_ef95)
    var value = SHA256Value()
    value.words = (random.next(), random.next(), random.next(), random.next())
    return value
}
