// What epoll tells about sockets of the loopback device, and whom it means by it.
import Bytes
import Glibc
import Reactor
import Testing

struct EventLoopTests {
    private static let slot = SlotID(index: 5, generation: 3)

    @Test func `a listener is readable until its queue is empty`() throws {
        var loop = EventLoop()
        let listener = try Socket.listen(try .loopback, backlog: 4, isShared: true)
        loop.register(listener.descriptor, Token(.listener, Self.slot))
        let quiet = loop.takeAll().isEmpty
        #expect(quiet)
        let client = try Socket.connect(try listener.address)
        for _ in 0..<2 {
            let seen = loop.first { source, seen in source == .listener && seen.isReadable }
            #expect(seen?.slot == Self.slot, "level-triggered: told again until it is taken")
        }
        guard case .accepted(let socket, .socket(let peer)) = listener.accept() else { throw LoopbackFailed() }
        let port = client.localAddress?.port
        #expect(port == peer.port && peer.address.text == "127.0.0.1")
        guard case .none = listener.accept() else { throw LoopbackFailed() }
        let left = loop.takeAll().count
        #expect(left == 0)
        _ = socket.descriptor
    }

    @Test func `a paused listener says nothing, and speaks up again`() throws {
        var loop = EventLoop()
        let listener = try Socket.listen(try .loopback, backlog: 4, isShared: false)
        let token = Token(.listener, Self.slot)
        loop.register(listener.descriptor, token)
        loop.pause(listener.descriptor, token, true)
        let client = try Socket.connect(try listener.address)
        try listener.becomeReadable()
        let paused = loop.takeAll().count
        #expect(paused == 0)
        loop.pause(listener.descriptor, token, false)
        let seen = loop.first { source, seen in source == .listener && seen.isReadable }
        #expect(seen != nil)
        _ = client.descriptor
    }

    @Test func `a connection is told of once for what comes, not for what is left`() throws {
        var loop = EventLoop()
        let pair = try LoopbackPair()
        loop.register(pair.far.descriptor, Token(.client, Self.slot))
        _ = loop.takeAll()
        _ = pair.near.send("ab")
        let first = loop.first { source, seen in source == .client && seen.isReadable }
        #expect(first?.slot == Self.slot && first?.isHungUp == false)
        let one = pair.far.text(1)
        #expect(one == "a")
        let silence = loop.takeAll().count
        #expect(silence == 0, "edge-triggered: the second byte is the owner's to remember")
        _ = pair.near.send("c")
        let second = loop.first { source, seen in source == .client && seen.isReadable }
        #expect(second != nil)
        let rest = pair.far.text()
        #expect(rest == "bc")
    }

    @Test func `the end of the peer's side is readable and hung up`() throws {
        var loop = EventLoop()
        let pair = try LoopbackPair()
        loop.register(pair.far.descriptor, Token(.client, Self.slot))
        pair.near.shutdownWrite()
        let seen = loop.first { _, seen in seen.isHungUp }
        #expect(seen?.isReadable == true && seen?.isFailed == false)
        let outcome = pair.far.outcome()
        #expect(outcome == "closed")
    }

    @Test func `a reset is a failure`() throws {
        var loop = EventLoop()
        let listener = try Socket.listen(try .loopback, backlog: 4, isShared: false)
        let client = try Socket.connect(try listener.address)
        guard listener.waitReadable(milliseconds: 2000), case .accepted(let far, _) = listener.accept() else {
            throw LoopbackFailed()
        }
        loop.register(client.descriptor, Token(.upstream, Self.slot))
        far.resetOnClose()
        close(far.detach())
        let seen = loop.first { _, seen in seen.isFailed }
        #expect(seen?.isReadable == true)
        let outcome = client.outcome()
        #expect(outcome == "failed")
    }

    @Test func `a refused attempt to connect is told with its reason`() throws {
        var loop = EventLoop()
        // Bound and not listening: nobody else gets the port, and whoever knocks is refused.
        let bound = try Socket.listen(try .loopback, backlog: 0, isShared: false)
        let address = try bound.address
        let reason: Int32
        do throws(SocketError) {
            let socket = try Socket.connect(address)
            loop.register(socket.descriptor, Token(.upstream, Self.slot))
            let seen = loop.first { source, seen in source == .upstream && seen.isFailed }
            #expect(seen?.slot == Self.slot)
            reason = socket.connectError
        } catch {
            reason = error.number
        }
        #expect(reason == ECONNREFUSED)
    }

    @Test func `a connection that succeeded has no error`() throws {
        let pair = try LoopbackPair()
        try pair.near.becomeWritable()
        let reason = pair.near.connectError
        #expect(reason == 0)
    }

    @Test func `an event for a slot that was given to somebody else names the old one`() throws {
        var loop = EventLoop()
        var table = SlotTable<Int32>(capacity: 1)
        let pair = try LoopbackPair()
        let old = try insert(pair.far.descriptor, into: &table)
        loop.register(pair.far.descriptor, Token(.client, old))
        _ = pair.near.send("late")
        try pair.far.becomeReadable()
        table.destroy(old)
        let new = try insert(-1, into: &table)
        let seen = loop.first { source, seen in source == .client && seen.isReadable }
        #expect(seen?.slot == old && new.index == old.index)
        let isKnown = table.contains(old)
        #expect(!isKnown)
    }

    @Test(arguments: [SlotID(index: 0, generation: 1), SlotID(index: 0xff_fffe, generation: .max)])
    func `a token keeps source, index and generation`(slot: SlotID) {
        for source in [Source.listener, .client, .upstream, .mailbox, .signals, .task] {
            let token = Token(source, slot)
            #expect(token.source == source && token.slot == slot)
        }
    }

    @Test func `a mailbox wakes the loop of the thread that takes`() {
        var loop = EventLoop()
        let mailbox = Mailbox<Int>()
        loop.register(mailbox.descriptor, Token(.mailbox, .none))
        Thread.start(name: "sender") {
            usleep(10_000)
            mailbox.post(1)
        }
        // No timer: without a message this would sleep for ever.
        loop.wait()
        var isMailbox = false
        while let event = loop.next() { if case .ready(.mailbox, _, _) = event { isMailbox = true } }
        #expect(isMailbox && mailbox.takeAll() == [1])
        let left = loop.takeAll().count
        #expect(left == 0)
    }

    @Test func `a deadline comes out of the loop after its time`() {
        var loop = EventLoop()
        let start = loop.now.nanoseconds
        _ = loop.timers.add(Token(.client, Self.slot), Instant(nanoseconds: start + 50_000_000))
        var seen: SlotID?
        let end = loop.now.after(seconds: 10)
        while seen == nil && loop.now < end {
            loop.wait()
            while let event = loop.next() { if case .deadline(.client, let slot) = event { seen = slot } }
        }
        let waited = loop.now.nanoseconds - start
        #expect(seen == Self.slot && waited >= 50_000_000)
    }
}
