// What the callbacks of a session write to: its events, their bytes, and the bodies that wait to be sent.
import Bytes
package import HTTP

/// Bounds of one session, each with its reason.
package struct HTTP2Limits: Sendable {
    package var head = HTTPLimits()
    /// Streams at once: what browsers and gRPC clients expect to be allowed.
    package var streamCount: UInt32 = 128
    /// Bytes of a body that may wait for us on one stream, and on all of them: the cap on a connection's memory.
    package var streamWindow: Int32 = 65_535
    package var connectionWindow: Int32 = 1 << 20
    /// Resets by the client, as by us: bursts of cancelled requests happen, a steady flood is rapid reset.
    package var resetBurst: UInt64 = 1_000
    package var resetsPerSecond: UInt64 = 33
    /// SETTINGS: clients send one, and one more when they change their mind.
    package var settingsBurst: UInt64 = 100
    package var settingsPerSecond: UInt64 = 10
    /// Empty DATA and PRIORITY: a browser of old sends a few for each request.
    package var emptyBurst: UInt64 = 10_000
    package var emptyPerSecond: UInt64 = 1_000
    /// Acknowledgements of PING and SETTINGS that wait to be sent. No rate of PINGs: gRPC pings once per round trip.
    package var waitingAcknowledgements = 1_000
    /// Frames of any kind that wait: a client that causes them and reads nothing.
    package var waitingFrames = 4_000
    /// CONTINUATION frames of one block of fields: a head of the largest size needs three, one that was cut by a library of
    /// old some dozens.
    package var continuations = 128
    /// Of an answer's head, our fields included: four times what an upstream may send. One that is larger would never leave.
    package var answerHeadSize = 1 << 18

    package init() {}
}

/// What is to be sent on one stream.
struct OutboundBody: ~Copyable {
    let stream: Int32
    var queue = ByteQueue()
    var isEnded = false
    /// Field lines to send behind the body.
    var trailers: [UInt8] = []
    /// When the client last took something of it, or had nothing left to take.
    var progress: Instant

    init(stream: Int32, now: Instant) {
        self.stream = stream
        progress = now
    }
}

struct SessionState: ~Copyable {
    /// Ranges of stream numbers that were left out, as many as are remembered: real clients leave out none.
    private static var skippedRanges: Int { 16 }

    let limits: HTTP2Limits
    var now: Instant
    var events: [StreamEvent] = []
    var taken = 0
    var bytes = ByteBuffer(capacity: 0)
    var expansion = FrameExpansion()
    /// Of the block of fields that is being received; there is one at a time (RFC 9113 section 4.3).
    var section: FieldSection
    var lengths = AnnouncedLengths()
    var bodies: SlotTable<OutboundBody>
    /// Where the memory of bodies comes from and goes to, while `write` runs.
    var pool: BufferPool?
    /// Bytes of all bodies that wait to be sent.
    var waiting = 0
    var resets: FrameBudget
    var settings: FrameBudget
    var empties: FrameBudget
    /// The first reason for which the connection has to end.
    var failure: SessionFailure?
    private var highest: Int32 = -1
    private var skipped: [Range<Int32>] = []

    init(limits: HTTP2Limits, now: Instant) {
        self.limits = limits
        self.now = now
        section = FieldSection(limits: limits.head)
        bodies = SlotTable(capacity: Int(limits.streamCount))
        resets = FrameBudget(limits.resetBurst, perSecond: limits.resetsPerSecond, now: now)
        settings = FrameBudget(limits.settingsBurst, perSecond: limits.settingsPerSecond, now: now)
        empties = FrameBudget(limits.emptyBurst, perSecond: limits.emptyPerSecond, now: now)
    }

    /// Forgets the events that were taken.
    mutating func forgetTaken() {
        guard taken == events.count else { return }
        events.removeAll(keepingCapacity: true)
        taken = 0
        if bytes.count > 1 << 16 { bytes = ByteBuffer(capacity: 0) }
        bytes.clear()
    }

    mutating func fail(_ reason: SessionFailure) { if failure == nil { failure = reason } }
    mutating func spendReset() { if !resets.spend(at: now) { fail(.flooded) } }

    /// A block of fields begins. False: its number was left out when higher ones were used, which closed it
    /// (RFC 9113 section 5.1.1).
    mutating func admits(_ stream: Int32) -> Bool {
        if stream <= highest { return !skipped.contains { $0.contains(stream) } }
        if stream > highest + 2 {
            if skipped.count == Self.skippedRanges { skipped.removeFirst() }
            skipped.append(highest + 1..<stream)
        }
        highest = stream
        return true
    }

    mutating func endSection(stream: Int32, isTrailer: Bool, endsStream: Bool) {
        let start = bytes.count
        if let error = section.write(to: &bytes) {
            events.append(.refused(stream: stream, StreamRefusal(error)))
        } else if isTrailer {
            events.append(.trailers(stream: stream, start..<bytes.count))
        } else {
            events.append(.head(stream: stream, start..<bytes.count, endsStream: endsStream))
        }
        section.forgetLarge()
    }

    mutating func body(_ data: borrowing Span<UInt8>, stream: Int32) {
        let start = bytes.count
        bytes.append(data)
        events.append(.body(stream: stream, start..<bytes.count))
    }

    /// Nothing more is sent on a stream.
    mutating func drop(_ id: SlotID) {
        waiting -= bodies[id].queue.count
        if var pool = pool.take() {
            bodies[id].queue.release(to: &pool)
            self.pool = consume pool
        }
        bodies.destroy(id)
    }
}
