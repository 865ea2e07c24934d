// epoll: each connection registered once, edge-triggered; `wait` takes a batch, `next` returns it one value at a time.
// Owns the event array (freed in deinit) and the epoll descriptor; kernel tags are values, never pointers.
package import Bytes
import CLinux
import Glibc

/// What kind of thing an event is about; which table its slot lies in.
package enum Source: UInt8, Sendable {
    case listener, client, upstream, mailbox, signals, task, folders
    /// A part of a client's connection: it has deadlines only.
    case stream
    /// A request that may last: the same.
    case exchange
}

/// What the kernel and the timers keep for a slot: its source, index and generation in one word.
package struct Token: Sendable, BitwiseCopyable {
    let raw: UInt64
    init(raw: UInt64) { self.raw = raw }
    package init(_ source: Source, _ slot: SlotID) {
        raw =
            UInt64(slot.generation) << 32 | UInt64(source.rawValue) << 24
            | UInt64(UInt32(bitPattern: slot.index) & 0xff_ffff)
    }
    package var source: Source { Source(rawValue: UInt8(truncatingIfNeeded: raw >> 24)) ?? .listener }
    package var slot: SlotID {
        SlotID(index: Int32(truncatingIfNeeded: raw & 0xff_ffff), generation: UInt32(truncatingIfNeeded: raw >> 32))
    }
}

/// What epoll said. Not an OptionSet: its array literals are not specialised in another module.
@frozen public struct Readiness: Sendable {
    @usableFromInline let bits: UInt32
    init(bits: UInt32) { self.bits = bits }
    /// EPOLLIN, or the end or failure of the stream, which reading will tell.
    @inlinable public var isReadable: Bool { bits & 0x2011 != 0 }
    @inlinable public var isWritable: Bool { bits & 0x4 != 0 }
    @inlinable public var isHungUp: Bool { bits & 0x2010 != 0 }
    @inlinable public var isFailed: Bool { bits & 0x18 != 0 }
}

/// One thing that happened.
package enum Event {
    case ready(Source, SlotID, Readiness)
    /// The slot's timer was due at or after its deadline: the owner compares, and schedules again when it was moved.
    case deadline(Source, SlotID)
}

@safe package struct EventLoop: ~Copyable {
    private let epoll: Socket
    private let ready: UnsafeMutablePointer<epoll_event>
    private var count = 0
    private var position = 0
    package var timers: TimerWheel
    /// When the batch arrived: read once a turn.
    package private(set) var now: Instant
    /// Seconds since 1970, for tokens and logs.
    package private(set) var wallSeconds: Int64
    /// Small, so that what a turn's output touches stays in the cache; each turn ends with one flush.
    package static let batch = 32

    package init() {
        epoll = Socket(owning: epoll_create1(Int32(O_CLOEXEC)))
        unsafe ready = .allocate(capacity: Self.batch)
        now = Instant(nanoseconds: cl_now_ns())
        wallSeconds = cl_wall_s()
        timers = TimerWheel(now: now)
    }
    deinit { unsafe ready.deallocate() }

    /// Once per descriptor. Connections are edge-triggered; everything else is level-triggered, so that a bounded accept or
    /// a half-read mailbox loses nothing.
    package borrowing func register(_ descriptor: Int32, _ token: Token) {
        let isConnection = token.source == .client || token.source == .upstream || token.source == .task
        _ = cl_epoll_ctl(
            epoll.descriptor, EPOLL_CTL_ADD, descriptor, isConnection ? CL_IN | CL_OUT | CL_RDHUP | CL_ET : CL_IN,
            token.raw)
    }
    /// Stops or restarts the events of a listener, the only thing that is ever paused in the kernel.
    package borrowing func pause(_ descriptor: Int32, _ token: Token, _ isPaused: Bool) {
        _ = cl_epoll_ctl(epoll.descriptor, EPOLL_CTL_MOD, descriptor, isPaused ? 0 : CL_IN, token.raw)
    }
    /// Sleeps until something happens or a timer is due, or only looks what has happened.
    package mutating func wait(mayBlock: Bool = true) {
        let sleep = mayBlock ? timers.sleepMilliseconds(now) : 0
        let n = unsafe cl_epoll_wait(epoll.descriptor, ready, Int32(Self.batch), sleep)
        count = max(n, 0)
        position = 0
        now = Instant(nanoseconds: cl_now_ns())
        wallSeconds = cl_wall_s()
    }
    /// The next event of the batch, then deadlines that have come; nil ends the turn.
    package mutating func next() -> Event? {
        if position < count {
            let token = unsafe Token(raw: ready[position].data.u64)
            let events = unsafe ready[position].events
            position += 1
            return .ready(token.source, token.slot, Readiness(bits: events))
        }
        if let token = timers.next(now) { return .deadline(token.source, token.slot) }
        return nil
    }
    /// Milliseconds since 1970, for log lines.
    package static var wallMilliseconds: Int64 { cl_wall_ms() }
    package static var monotonic: Instant { Instant(nanoseconds: cl_now_ns()) }
}
