// Coarse deadlines. Each slot owns one node of the wheel for life; moving a deadline later is a store, moving it before
// the node's tick relinks the node, and a node that fires early is linked again by whoever looks at it.
package import Bytes

/// A slot's deadline and its node in the wheel.
package struct Deadline: BitwiseCopyable {
    package fileprivate(set) var at: Instant
    fileprivate var tick: UInt64
    fileprivate let node: Int32
}

package struct TimerWheel: ~Copyable {
    private static let size: UInt64 = 512
    /// 100 ms: deadlines of connections are seconds.
    private static let tickNanoseconds: UInt64 = 100_000_000
    private struct Node: BitwiseCopyable { var token: Token, next: Int32, previous: Int32, bucket: Int32 }
    private var nodes: [Node] = []
    private var buckets = [Int32](repeating: -1, count: Int(TimerWheel.size))
    private var firstFree: Int32 = -1
    private var tick: UInt64
    package private(set) var count = 0

    package init(now: Instant) { tick = now.nanoseconds / TimerWheel.tickNanoseconds }

    /// A node for a slot, due at `at`.
    package mutating func add(_ token: Token, _ at: Instant) -> Deadline {
        var i = firstFree
        if i >= 0 {
            firstFree = nodes[Int(i)].next
        } else {
            i = Int32(nodes.count)
            nodes.append(Node(token: token, next: -1, previous: -1, bucket: -1))
        }
        nodes[Int(i)].token = token
        nodes[Int(i)].bucket = -1
        count += 1
        var deadline = Deadline(at: at, tick: 0, node: i)
        schedule(&deadline)
        return deadline
    }
    /// Gives the node back; the slot has no deadline any more.
    package mutating func remove(_ deadline: Deadline) {
        unlink(deadline.node)
        nodes[Int(deadline.node)].next = firstFree
        firstFree = deadline.node
        count -= 1
    }
    /// Moves a deadline. No work in the wheel unless it comes before the tick at which its node is looked at.
    @inline(__always)
    package mutating func set(_ deadline: inout Deadline, _ at: Instant) {
        deadline.at = at
        if at.nanoseconds < deadline.tick &* TimerWheel.tickNanoseconds { schedule(&deadline) }
    }
    /// Links the node where its deadline says. Call it for a slot whose node fired before its deadline, too.
    package mutating func schedule(_ deadline: inout Deadline) {
        let i = deadline.node
        unlink(i)
        let wanted = deadline.at.nanoseconds / TimerWheel.tickNanoseconds + 1
        deadline.tick = min(max(wanted, tick), tick + TimerWheel.size - 1)
        let bucket = Int(deadline.tick % TimerWheel.size)
        nodes[Int(i)].bucket = Int32(bucket)
        nodes[Int(i)].previous = -1
        nodes[Int(i)].next = buckets[bucket]
        if buckets[bucket] >= 0 { nodes[Int(buckets[bucket])].previous = i }
        buckets[bucket] = i
    }
    /// The same node, due at `at`: for timers that go off again and again.
    package mutating func renewed(_ deadline: Deadline, _ at: Instant) -> Deadline {
        var next = deadline
        next.at = at
        schedule(&next)
        return next
    }
    private mutating func unlink(_ i: Int32) {
        let node = nodes[Int(i)]
        guard node.bucket >= 0 else { return }
        if node.previous >= 0 {
            nodes[Int(node.previous)].next = node.next
        } else {
            buckets[Int(node.bucket)] = node.next
        }
        if node.next >= 0 { nodes[Int(node.next)].previous = node.previous }
        nodes[Int(i)].bucket = -1
    }
    /// Milliseconds until some node is to be looked at; -1 when there is none.
    func sleepMilliseconds(_ now: Instant) -> Int32 {
        if count == 0 { return -1 }
        var ahead: UInt64 = 0
        while ahead < Self.size, buckets[Int((tick + ahead) % Self.size)] < 0 { ahead += 1 }
        let due = (tick + ahead) &* Self.tickNanoseconds
        return due <= now.nanoseconds ? 0 : Int32((due - now.nanoseconds + 999_999) / 1_000_000)
    }
    /// The next node whose tick has come, unlinked.
    mutating func next(_ now: Instant) -> Token? {
        let current = now.nanoseconds / TimerWheel.tickNanoseconds
        while tick <= current {
            let i = buckets[Int(tick % TimerWheel.size)]
            if i >= 0 {
                unlink(i)
                return nodes[Int(i)].token
            }
            tick += 1
        }
        return nil
    }
}
