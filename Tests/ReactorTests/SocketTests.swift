// Calls on sockets: what each outcome is called.
import Bytes
import Glibc
import Reactor
import Testing

struct SocketTests {
    @Test func `bytes arrive, then the wait, then the end`() throws {
        let pair = try LoopbackPair()
        let empty = pair.far.outcome()
        #expect(empty == "blocked")
        let isReady = pair.far.waitReadable(milliseconds: 10)
        #expect(!isReady)
        guard case .bytes(5) = pair.near.send("hello") else { throw LoopbackFailed() }
        let text = pair.far.text()
        #expect(text == "hello")
        pair.near.shutdownWrite()
        try pair.far.becomeReadable()
        let end = pair.far.outcome()
        #expect(end == "closed")
    }

    @Test func `a socket that takes no more is blocked, not failed`() throws {
        let pair = try LoopbackPair()
        let piece = [UInt8](repeating: 1, count: 1 << 20)
        var sent = 0
        var isBlocked = false
        for _ in 0..<1000 where !isBlocked {
            switch pair.near.send(piece.span) {
            case .bytes(let n): sent += n
            case .blocked: isBlocked = true
            case .closed, .failed: throw LoopbackFailed()
            }
        }
        #expect(isBlocked && sent > 0)
    }

    @Test func `sending to a peer that is gone fails without a signal`() throws {
        let listener = try Socket.listen(try .loopback, backlog: 4, isShared: false)
        let near = try Socket.connect(try listener.address)
        guard listener.waitReadable(milliseconds: 2000), case .accepted(let far, _) = listener.accept() else {
            throw LoopbackFailed()
        }
        far.resetOnClose()
        close(far.detach())
        try near.becomeReadable()
        guard case .failed = near.send("x") else { throw LoopbackFailed() }
    }

    @Test func `an address that is taken says so`() throws {
        let first = try Socket.listen(try .loopback, backlog: 4, isShared: true)
        let address = try first.address
        // Workers share an address.
        let again = try Socket.listen(address, backlog: 4, isShared: true)
        _ = again.descriptor
        let error = #expect(throws: SocketError.self) { try Socket.probe(address) }
        #expect(error?.isAddressInUse == true && error?.isExhaustion == false)
        #expect(error?.text == "Address already in use")
    }

    @Test func `a free address is found free`() throws {
        let address: SocketAddress
        do {
            let socket = try Socket.listen(try .loopback, backlog: 0, isShared: false)
            address = try socket.address
        }
        #expect(throws: Never.self) { try Socket.probe(address) }
    }

    @Test func `a socket of the file system accepts, and a second listener replaces the file`() throws {
        let path = "/tmp/gateway-reactor-\(getpid()).socket"
        defer { unlink(path) }
        let first = try Socket.listen(unix: path, backlog: 4)
        let second = try Socket.listen(unix: path, backlog: 4)
        let client = try Socket.connect(unix: path)
        try second.becomeReadable()
        guard case .accepted(let server, .unix) = second.accept() else { throw LoopbackFailed() }
        guard case .none = first.accept() else { throw LoopbackFailed() }
        _ = client.send("over a file")
        let text = server.text()
        #expect(text == "over a file")
        let address = server.localAddress
        #expect(address == nil)
    }

    @Test func `a path that fits in no address is an error`() {
        let error = #expect(throws: SocketError.self) {
            _ = try Socket.connect(unix: "/tmp/" + String(repeating: "x", count: 200))
        }
        #expect(error?.number == ENAMETOOLONG)
    }

    @Test func `a descriptor is closed with its socket and not with one that gave it away`() throws {
        let pair = try LoopbackPair()
        let number: Int32
        do {
            let copy = Socket.copy(of: pair.near.descriptor)
            number = copy.descriptor
            #expect(fcntl(number, F_GETFD) != -1 && number != pair.near.descriptor)
        }
        let isSame = fcntl(number, F_GETFD) != -1 && isSameSocket(number, pair.near.descriptor)
        #expect(!isSame)
        let kept = Socket.copy(of: pair.near.descriptor).detach()
        #expect(fcntl(kept, F_GETFD) != -1)
        close(kept)
    }
}

/// Other tests open descriptors at the same time: a number alone tells nothing.
private func isSameSocket(_ a: Int32, _ b: Int32) -> Bool {
    var first = stat(), second = stat()
    return fstat(a, &first) == 0 && fstat(b, &second) == 0 && first.st_ino == second.st_ino
}
