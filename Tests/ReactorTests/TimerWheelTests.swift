// Deadlines that move, and the wheel against a plain list of times.
import Bytes
import SeededRandom
import Testing

@testable import Reactor

/// Nanoseconds of the wheel's step.
private let tick: UInt64 = 100_000_000

/// A wheel and the deadlines of its slots, looked at as their owner does.
private struct Clockwork: ~Copyable {
    var wheel: TimerWheel
    var now: Instant
    var deadlines: [Int32: Deadline] = [:]
    /// Nodes that were looked at, whether they were due or not.
    var looks = 0

    init(at start: UInt64) {
        now = Instant(nanoseconds: start)
        wheel = TimerWheel(now: now)
    }
    mutating func add(_ slot: Int32, in wait: UInt64) {
        deadlines[slot] = wheel.add(Token(.client, SlotID(index: slot, generation: 1)), at(wait))
    }
    mutating func set(_ slot: Int32, in wait: UInt64) {
        if deadlines[slot] != nil { wheel.set(&deadlines[slot]!, at(wait)) }
    }
    mutating func remove(_ slot: Int32) {
        if let deadline = deadlines.removeValue(forKey: slot) { wheel.remove(deadline) }
    }
    /// Lets time pass; the slots whose deadline has come, each removed.
    mutating func pass(_ nanoseconds: UInt64) -> Set<Int32> {
        now = at(nanoseconds)
        var due: Set<Int32> = []
        while let token = wheel.next(now) {
            looks += 1
            let slot = token.slot.index
            guard var deadline = deadlines[slot] else { continue }
            if deadline.at <= now {
                due.insert(slot)
                remove(slot)
            } else {
                wheel.schedule(&deadline)
                deadlines[slot] = deadline
            }
        }
        return due
    }
    private func at(_ wait: UInt64) -> Instant { Instant(nanoseconds: now.nanoseconds + wait) }
}

struct TimerWheelTests {
    @Test func `a deadline comes in its tick and not before`() {
        var clock = Clockwork(at: 12_345 * tick)
        clock.add(1, in: 10 * tick)
        let early = clock.pass(10 * tick)
        #expect(early.isEmpty)
        let due = clock.pass(tick)
        #expect(due == [1])
    }

    @Test func `a deadline that moves later costs no look before the old one`() {
        var clock = Clockwork(at: 0)
        clock.add(1, in: 10 * tick)
        for _ in 0..<100 { clock.set(1, in: 20 * tick) }
        let first = clock.pass(11 * tick)
        #expect(first.isEmpty)
        let looks = clock.looks
        #expect(looks == 1)
        let second = clock.pass(10 * tick)
        #expect(second == [1])
    }

    @Test func `a deadline that moves earlier comes earlier, and once`() {
        var clock = Clockwork(at: 0)
        clock.add(1, in: 300 * tick)
        clock.set(1, in: 2 * tick)
        let due = clock.pass(3 * tick)
        #expect(due == [1])
        let again = clock.pass(600 * tick)
        #expect(again.isEmpty)
    }

    @Test func `a deadline in the past comes with the next tick`() {
        var clock = Clockwork(at: 1000 * tick)
        _ = clock.pass(tick)
        clock.add(1, in: 0)
        let due = clock.pass(tick)
        #expect(due == [1])
    }

    @Test(arguments: [511, 512, 513, 1024, 5000] as [UInt64])
    func `a deadline beyond the horizon comes in its tick`(ticks: UInt64) {
        var clock = Clockwork(at: 77 * tick)
        clock.add(1, in: ticks * tick)
        for _ in 0..<ticks - 1 {
            let early = clock.pass(tick)
            #expect(early.isEmpty)
        }
        let due = clock.pass(2 * tick)
        #expect(due == [1])
    }

    @Test func `a long sleep skips nothing`() {
        var clock = Clockwork(at: 0)
        for slot in 0..<100 { clock.add(Int32(slot), in: UInt64(slot) * 30 * tick) }
        let due = clock.pass(10_000 * tick)
        let later = clock.pass(tick)
        #expect(due.union(later) == Set(0..<100))
    }

    @Test func `a removed deadline never comes, and its node serves another`() {
        var clock = Clockwork(at: 0)
        for slot in 0..<3 { clock.add(Int32(slot), in: 5 * tick) }
        clock.remove(1)
        let left = clock.wheel.count
        #expect(left == 2)
        clock.add(9, in: 4 * tick)
        let due = clock.pass(6 * tick)
        #expect(due == [0, 2, 9])
        let none = clock.wheel.count
        #expect(none == 0)
    }

    @Test func `a timer goes off again when it is renewed`() {
        var wheel = TimerWheel(now: Instant(nanoseconds: 0))
        var deadline = wheel.add(Token(.task, .none), Instant(nanoseconds: 2 * tick))
        var rings = 0
        for i in 0..<100 {
            let now = Instant(nanoseconds: UInt64(i) * tick)
            while wheel.next(now) != nil {
                rings += 1
                deadline = wheel.renewed(deadline, Instant(nanoseconds: now.nanoseconds + 2 * tick))
            }
        }
        #expect(rings == 33, "every third tick: two of waiting, and the one it falls into")
    }

    @Test func `the loop sleeps until a node is to be looked at, and for ever when there is none`() {
        var wheel = TimerWheel(now: Instant(nanoseconds: 0))
        let idle = wheel.sleepMilliseconds(Instant(nanoseconds: 0))
        #expect(idle == -1)
        _ = wheel.add(Token(.client, .none), Instant(nanoseconds: 10 * tick))
        let near = wheel.add(Token(.client, .none), Instant(nanoseconds: 3 * tick + 1))
        let first = wheel.sleepMilliseconds(Instant(nanoseconds: tick / 2))
        #expect(first == 350)
        let late = wheel.sleepMilliseconds(Instant(nanoseconds: 5 * tick))
        #expect(late == 0)
        wheel.remove(near)
        let second = wheel.sleepMilliseconds(Instant(nanoseconds: 0))
        #expect(second == 1100)
    }

    @Test(arguments: [1, 2, 3, 4, 5, 6] as [UInt64])
    func `random operations agree with a list of times`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var clock = Clockwork(at: UInt64(random.below(1_000_000)) * tick + UInt64(random.below(Int(tick))))
        var model: [Int32: UInt64] = [:]
        for step in 0..<6000 {
            let slot = Int32(random.below(200))
            let wait = UInt64(random.below(random.below(4) == 0 ? 2000 : 40)) * tick / 3
            switch random.below(6) {
            case 0, 1:
                if model[slot] == nil { clock.add(slot, in: wait) } else { clock.set(slot, in: wait) }
                model[slot] = clock.now.nanoseconds + wait
            case 2:
                clock.remove(slot)
                model[slot] = nil
            default:
                let before = clock.now.nanoseconds / tick
                let due = clock.pass(UInt64(random.below(3 * Int(tick))))
                let now = clock.now.nanoseconds
                // One tick after its time at the latest, or with the next tick when it was in the past already.
                let late = model.filter { max($0.value / tick, before) < now / tick && !due.contains($0.key) }
                let early = due.filter { model[$0, default: .max] > now }
                #expect(late.isEmpty && early.isEmpty, "seed \(seed), step \(step)")
                for slot in due { model[slot] = nil }
            }
        }
        let count = clock.wheel.count
        #expect(count == model.count, "seed \(seed)")
    }
}
