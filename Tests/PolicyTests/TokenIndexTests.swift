// The index and the queues of the cache against plain Swift collections, through growth and removal.
import Bytes
import JOSE
import Testing

@testable import Policy

@Suite struct TokenIndexTests {
    /// Long enough for a dozen growths, each of which is looked into while it goes on.
    @Test(arguments: [1, 2]) func `whoever is in is found, and nobody else`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var entries = SlotTable<CacheEntry>(capacity: 40_000)
        var index = TokenIndex()
        var present: [(key: SHA256Value, id: SlotID)] = []
        var gone: [SHA256Value] = []
        for step in 0..<30_000 {
            // Grows, then shrinks and grows about as fast.
            if present.count < 100 || random.next() % 8 < (step < 20_000 ? 7 : 4) {
                let key = randomKey(&random)
                guard let id = entries.insert(entry(key)) else { return #expect(Bool(false)) }
                index.insert(key, slot: id.index)
                present.append((key, id))
            } else {
                present.swapAt(Int(random.next() % UInt64(present.count)), present.count - 1)
                let (key, id) = present.removeLast()
                index.remove(key, slot: id.index)
                entries.destroy(id)
                gone.append(key)
            }
            let known = present[Int(random.next() % UInt64(present.count))]
            #expect(index.find(known.key, in: entries) == known.id)
            if let key = gone.last { #expect(index.find(key, in: entries) == nil) }
        }
        for (key, id) in present { #expect(index.find(key, in: entries) == id) }
        for key in gone { #expect(index.find(key, in: entries) == nil) }
    }

    /// Nobody can choose the SHA-256 of a token that verifies; where hashes agree in all that decides the place, the rest
    /// still tells tokens apart.
    @Test func `tokens that lie in the same place are told apart`() {
        var entries = SlotTable<CacheEntry>(capacity: 300)
        var index = TokenIndex()
        func key(_ i: Int) -> SHA256Value {
            var value = SHA256Value()
            value.words = (0xffff_ffff_0000_0000, 7, 7, UInt64(i))
            return value
        }
        var ids: [SlotID] = []
        for i in 0..<200 {
            guard let id = entries.insert(entry(key(i))) else { return #expect(Bool(false)) }
            index.insert(key(i), slot: id.index)
            ids.append(id)
        }
        for i in 0..<200 { #expect(index.find(key(i), in: entries) == ids[i]) }
        #expect(index.find(key(200), in: entries) == nil)
        for i in stride(from: 0, to: 200, by: 2) {
            index.remove(key(i), slot: ids[i].index)
            entries.destroy(ids[i])
        }
        for i in 0..<200 { #expect(index.find(key(i), in: entries) == (i % 2 == 0 ? nil : ids[i])) }
    }

    /// Inserting, removing and choosing in any order loses nobody and counts rightly.
    @Test func `every entry is in one queue until it is chosen`() {
        var random = SeededRandom(seed: 3)
        var entries = SlotTable<CacheEntry>(capacity: 2000)
        var queues = EvictionQueues(slots: 2000, limit: 1000)
        var present: [SlotID] = []
        for _ in 0..<20_000 {
            if present.count == 1000 {
                guard let id = queues.choose(from: &entries, now: 0), let at = present.firstIndex(of: id) else {
                    return #expect(Bool(false), "nobody, or somebody who is not there")
                }
                present.swapAt(at, present.count - 1)
            } else if present.count < 2 || random.next() % 16 != 0 {
                let key = randomKey(&random)
                guard let id = entries.insert(entry(key)) else { return #expect(Bool(false)) }
                queues.insert(key, slot: id.index)
                present.append(id)
                if random.next() % 2 == 0 { for _ in 0..<random.next() % 6 { entries[id].uses += 1 } }
                continue
            } else {
                present.swapAt(Int(random.next() % UInt64(present.count)), present.count - 1)
            }
            let id = present.removeLast()
            queues.remove(id.index)
            entries.destroy(id)
            #expect(queues.count == present.count)
        }
        while let id = queues.choose(from: &entries, now: 0) {
            queues.remove(id.index)
            entries.destroy(id)
            present.removeAll { $0 == id }
        }
        #expect(present.isEmpty && queues.count == 0)
    }

    private func randomKey(_ random: inout SeededRandom) -> SHA256Value {
        var value = SHA256Value()
        value.words = (random.next(), random.next(), random.next(), random.next())
        return value
    }

    private func entry(_ key: SHA256Value) -> CacheEntry {
        let validity = CacheEntry.Validity(goodUntil: .max, keyGeneration: 0, keySerial: 0, goodFrom: .min)
        let nobody = Identity(subjectCount: 0, showsPermissions: false, mainCount: 0, fieldCount: 0)
        return CacheEntry(key, validity, nobody, ByteBuffer(capacity: 0))
    }
}
