// Slots: who lies where, and that a stale name never reaches a newer element.
import Bytes
import SeededRandom
import Testing

/// Counts how many of its kind are alive.
private final class Tally {
    var alive = 0
}
private struct Lodger: ~Copyable {
    let number: Int
    let tally: Tally
    init(_ number: Int, _ tally: Tally) {
        self.number = number
        self.tally = tally
        tally.alive += 1
    }
    deinit { tally.alive -= 1 }
}

struct SlotTableTests {
    @Test func `an element is found by its name until it is removed`() throws {
        var table = SlotTable<Int>(capacity: 4)
        let id = try insert(7, into: &table)
        let before = (table.contains(id), table[id])
        #expect(before == (true, 7))
        table[id] += 1
        let removed = table.remove(id)
        #expect(removed == 8)
        let after = table.contains(id)
        #expect(!after)
    }

    @Test func `a stale name is not the new element in its slot`() throws {
        var table = SlotTable<Int>(capacity: 1)
        let old = try insert(1, into: &table)
        table.destroy(old)
        let new = try insert(2, into: &table)
        #expect(new.index == old.index && new.generation != old.generation)
        let found = (table.contains(old), table.contains(new), table[new])
        #expect(found == (false, true, 2))
    }

    @Test(arguments: [SlotID.none, SlotID(index: 3, generation: 1), SlotID(index: -1, generation: 1)])
    func `names that were never given out name nothing`(id: SlotID) throws {
        var table = SlotTable<Int>(capacity: 4)
        _ = table.insert(1)
        let found = table.contains(id)
        #expect(!found)
    }

    @Test func `an even generation names nothing even in a free slot`() throws {
        var table = SlotTable<Int>(capacity: 2)
        let id = try insert(1, into: &table)
        table.destroy(id)
        let found = table.contains(SlotID(index: id.index, generation: id.generation + 1))
        #expect(!found)
    }

    @Test func `a full table takes nothing and destroys what it was given`() throws {
        let tally = Tally()
        var table = SlotTable<Lodger>(capacity: 2)
        let first = table.insert(Lodger(1, tally)), second = table.insert(Lodger(2, tally))
        let third = table.insert(Lodger(3, tally))
        #expect(first != nil && second != nil && third == nil && tally.alive == 2)
        table.destroy(try #require(second))
        let fourth = table.insert(Lodger(4, tally))
        #expect(fourth != nil && tally.alive == 2)
    }

    @Test func `the table's end is the end of its elements, each once`() throws {
        let tally = Tally()
        do {
            var table = SlotTable<Lodger>(capacity: 8)
            var ids: [SlotID] = []
            for i in 0..<5 { ids.append(try insert(Lodger(i, tally), into: &table)) }
            table.destroy(ids[1])
            let taken = table.remove(ids[3])
            #expect(taken.number == 3 && tally.alive == 4)
        }
        #expect(tally.alive == 0)
    }

    @Test func `a walk meets every occupant and nobody else`() throws {
        var table = SlotTable<Int>(capacity: 6)
        var ids: [SlotID] = []
        for i in 0..<4 { ids.append(try insert(i, into: &table)) }
        table.destroy(ids[2])
        var met: [SlotID] = []
        for i in -1...table.capacity { if let id = table.occupant(i) { met.append(id) } }
        #expect(met == [ids[0], ids[1], ids[3]])
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func `random insertions and removals agree with a dictionary`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var table = SlotTable<Int>(capacity: 32)
        var model: [(id: SlotID, value: Int)] = []
        var stale: [SlotID] = []
        for step in 0..<4000 {
            if random.below(2) == 0 {
                let id = table.insert(step)
                #expect((id == nil) == (model.count == 32), "seed \(seed), step \(step)")
                if let id { model.append((id, step)) }
            } else if !model.isEmpty {
                let gone = model.remove(at: random.below(model.count))
                let value = table.remove(gone.id)
                #expect(value == gone.value, "seed \(seed), step \(step)")
                stale.append(gone.id)
            }
            let isWhole = model.allSatisfy { table.contains($0.id) && table[$0.id] == $0.value }
            let hasStale = stale.suffix(64).contains { table.contains($0) }
            #expect(isWhole && !hasStale, "seed \(seed), step \(step)")
        }
    }
}

/// Puts a value into a table that has room.
func insert<Element: ~Copyable>(
    _ value: consuming Element, into table: inout SlotTable<Element>
) throws -> SlotID {
    let id = table.insert(value)
    return try #require(id)
}
