// Connected sockets on the loopback device, for the tests of this target.
import Bytes
import Glibc
import Reactor
import Testing

struct LoopbackFailed: Error {}

extension SocketAddress {
    /// The loopback device, any free port.
    static var loopback: SocketAddress {
        get throws { SocketAddress(address: try #require(IPAddress("127.0.0.1")), port: 0) }
    }
}

/// Two ends of one TCP connection, and what listened for it.
struct LoopbackPair: ~Copyable {
    let listener: Socket
    let near: Socket
    let far: Socket

    init() throws {
        let listener = try Socket.listen(try .loopback, backlog: 4, isShared: false)
        let near = try Socket.connect(try listener.address)
        try listener.becomeReadable()
        let far = try listener.taken()
        self.init(listener: listener, near: near, far: far)
    }
    private init(listener: consuming Socket, near: consuming Socket, far: consuming Socket) {
        self.listener = listener
        self.near = near
        self.far = far
    }
}

extension Socket {
    var address: SocketAddress {
        get throws {
            guard let address = localAddress else { throw LoopbackFailed() }
            return address
        }
    }
    /// The next connection in the queue.
    borrowing func taken() throws -> Socket {
        guard case .accepted(let socket, _) = accept() else { throw LoopbackFailed() }
        return socket
    }
    borrowing func becomeReadable() throws {
        guard waitReadable(milliseconds: 2000) else { throw LoopbackFailed() }
    }
    borrowing func becomeWritable() throws {
        guard waitWritable(milliseconds: 2000) else { throw LoopbackFailed() }
    }
    borrowing func send(_ text: String) -> IOResult { send(Array(text.utf8).span) }
    /// What comes within two seconds, at most `count` bytes; nil: the end or a failure.
    borrowing func text(_ count: Int = 4096) -> String? {
        guard waitReadable(milliseconds: 2000) else { return nil }
        var buffer = ByteBuffer(capacity: count)
        var free = buffer.free
        guard case .bytes(let n) = receive(into: &free) else { return nil }
        buffer.commit(n)
        return String(decoding: (0..<n).map { buffer.bytes[$0] }, as: UTF8.self)
    }
    /// How a read of one byte ends.
    borrowing func outcome() -> String {
        var buffer = ByteBuffer(capacity: 1)
        var free = buffer.free
        switch receive(into: &free) {
        case .bytes: return "bytes"
        case .blocked: return "blocked"
        case .closed: return "closed"
        case .failed: return "failed"
        }
    }
}

/// What a loop said, as values that can be compared.
struct Seen: Equatable {
    var slot: SlotID
    var isReadable = false
    var isHungUp = false
    var isFailed = false
    var isDeadline = false
}

extension EventLoop {
    /// The events of one turn, which a timer of its own ends after two ticks at most.
    mutating func takeAll() -> [(Source, Seen)] {
        let alarm = timers.add(Token(.task, .none), now)
        defer { timers.remove(alarm) }
        wait()
        var all: [(Source, Seen)] = []
        while let event = next() {
            switch event {
            case .ready(let source, let slot, let ready):
                let seen = Seen(
                    slot: slot, isReadable: ready.isReadable, isHungUp: ready.isHungUp, isFailed: ready.isFailed)
                all.append((source, seen))
            case .deadline(.task, _): break
            case .deadline(let source, let slot): all.append((source, Seen(slot: slot, isDeadline: true)))
            }
        }
        return all
    }
    /// The first event within two seconds that is as wanted; others are passed over.
    mutating func first(where isWanted: (Source, Seen) -> Bool) -> Seen? {
        let end = now.after(seconds: 5)
        while now < end { if let found = takeAll().first(where: isWanted) { return found.1 } }
        return nil
    }
}

/// Puts a value into a table that has room.
func insert<Element: ~Copyable>(
    _ value: consuming Element, into table: inout SlotTable<Element>
) throws -> SlotID {
    let id = table.insert(value)
    return try #require(id)
}
