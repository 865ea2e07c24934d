// One question for each credential, whoever asks; and answers for those who come a moment later.
import Bytes
import JOSE
import Policy
import Testing

@testable import Proxy

/// A table that may be asked inside of an expectation.
private final class Kept {
    private var table = LookupTable()
    var runningCount: Int { table.runningCount }
    func ask(_ key: LookupKey, worker: Int, now: Instant, isAnew: Bool = false) -> LookupTable.Verdict {
        table.ask(key, worker: worker, now: now, isAnew: isAnew)
    }
    @discardableResult func finished(_ key: LookupKey, _ result: LookupResult, keptFor: UInt64, now: Instant) -> [Int] {
        table.finished(key, result, keptFor: keptFor, now: now)
    }
}

struct LookupTableTests {
    private func at(_ seconds: UInt64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }
    private func key(_ number: UInt64, _ provider: String = "p") -> LookupKey {
        var digest = SHA256Value()
        digest.words.0 = number
        return LookupKey(provider: provider, digest: digest)
    }
    private let good = LookupResult.answered(LookupAnswer(status: 200))

    @Test func whoComesSecondWaitsWithTheFirst() {
        let table = Kept()
        #expect(table.ask(key(1), worker: 0, now: at(0)).isBegin)
        #expect(table.ask(key(1), worker: 1, now: at(0)).isJoined)
        #expect(table.ask(key(1), worker: 0, now: at(0)).isJoined)
        #expect(table.ask(key(2), worker: 0, now: at(0)).isBegin)
        #expect(table.ask(key(1, "q"), worker: 0, now: at(0)).isBegin, "another provider asks somebody else")
        #expect(table.finished(key(1), good, keptFor: 0, now: at(1)) == [0, 1])
        #expect(table.ask(key(1), worker: 1, now: at(1)).isBegin, "nothing was kept")
        #expect(table.runningCount == 3)
    }
    @Test func answersAreKeptForAMoment() {
        let table = Kept()
        _ = table.ask(key(1), worker: 0, now: at(0))
        table.finished(key(1), good, keptFor: 2_000_000_000, now: at(1))
        #expect(table.ask(key(1), worker: 1, now: at(2)).known == good)
        #expect(table.ask(key(1), worker: 1, now: at(3)).isBegin)
        #expect(table.finished(key(1), good, keptFor: 2_000_000_000, now: at(3)) == [1])
        #expect(table.ask(key(1), worker: 0, now: at(4)).known == good)
    }
    @Test func whoAsksAnewIsNotToldWhatWasAnswered() {
        let table = Kept()
        _ = table.ask(key(1), worker: 0, now: at(0))
        table.finished(key(1), good, keptFor: 2_000_000_000, now: at(1))
        #expect(table.ask(key(1), worker: 1, now: at(2), isAnew: true).isBegin)
        #expect(table.ask(key(1), worker: 0, now: at(2), isAnew: true).isJoined)
        #expect(table.finished(key(1), good, keptFor: 0, now: at(2)) == [1, 0])
    }
    @Test func theMemoryIsBounded() {
        let table = Kept()
        for i in 0..<20_000 {
            #expect(table.ask(key(UInt64(i)), worker: 0, now: at(0)).isBegin)
            table.finished(key(UInt64(i)), good, keptFor: 2_000_000_000, now: at(0))
        }
        var known: [Int] = []
        for i in 0..<20_000 where table.ask(key(UInt64(i)), worker: 0, now: at(1)).known != nil { known.append(i) }
        #expect(known.count <= 4097 && known.last == 19_999)
        var large = LookupAnswer(status: 200)
        large.body = [UInt8](repeating: 0, count: 64 * 1024)
        for i in 30_000..<30_500 {
            _ = table.ask(key(UInt64(i)), worker: 0, now: at(1))
            table.finished(key(UInt64(i)), .answered(large), keptFor: 2_000_000_000, now: at(1))
        }
        var kept: [Int] = []
        for i in 30_000..<30_500 where table.ask(key(UInt64(i)), worker: 0, now: at(1)).known != nil { kept.append(i) }
        #expect(kept.count < 130 && kept.last == 30_499)
    }
}

extension LookupTable.Verdict {
    fileprivate var isBegin: Bool { if case .begin = self { true } else { false } }
    fileprivate var isJoined: Bool { if case .joined = self { true } else { false } }
    fileprivate var known: LookupResult? { if case .known(let result) = self { result } else { nil } }
}
