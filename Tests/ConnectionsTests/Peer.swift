// The other end of a connection, played by hand, and what the near end says.
import Bytes
import Connections
import Glibc
import HTTP
import Testing
import Transport

@testable import Reactor

struct PeerFailed: Error {}

/// Two connected sockets of this process, neither of which waits.
func connectedPair(sendBuffer bytes: Int32 = 0) throws -> (near: Int32, far: Int32) {
    var ends: [Int32] = [-1, -1]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | O_NONBLOCK, 0, &ends) == 0 else { throw PeerFailed() }
    if bytes > 0 {
        var size = bytes
        setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }
    return (ends[0], ends[1])
}

extension Readiness {
    static var readable: Readiness { Readiness(bits: 0x1) }
    static var writable: Readiness { Readiness(bits: 0x4) }
    static var ended: Readiness { Readiness(bits: 0x2001) }
    static var refused: Readiness { Readiness(bits: 0x1c) }
}

/// What the tests do at the far end.
struct Peer: ~Copyable {
    let socket: Socket
    init(_ descriptor: Int32) { socket = Socket(owning: descriptor) }

    func write(_ text: String) throws { try write(Array(text.utf8)) }
    func write(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            guard case .bytes(let n) = socket.send(bytes.span.extracting(sent..<bytes.count)) else {
                throw PeerFailed()
            }
            sent += n
        }
    }
    /// Ends the peer's side; reading goes on.
    func end() { socket.shutdownWrite() }
    /// Ends both directions, as a process that dies does.
    func vanish() { shutdown(socket.descriptor, Int32(SHUT_RDWR)) }
    /// Everything that has arrived.
    func read() -> [UInt8] {
        var all: [UInt8] = []
        var buffer = ByteBuffer(capacity: 65_536)
        while true {
            buffer.clear()
            var free = buffer.free
            guard case .bytes(let n) = socket.receive(into: &free) else { return all }
            buffer.commit(n)
            for i in 0..<n { all.append(buffer.bytes[i]) }
        }
    }
    func readText() -> String { String(decoding: read(), as: UTF8.self) }
    /// The near end has ended its side and everything before that was read.
    func sawEnd() -> Bool {
        var buffer = ByteBuffer(capacity: 1)
        var free = buffer.free
        if case .closed = socket.receive(into: &free) { return true }
        return false
    }
}

/// The text of `n` bytes at the front.
func front(_ n: Int, of buffer: borrowing ByteBuffer) -> String {
    String(decoding: (0..<n).map { buffer.bytes[$0] }, as: UTF8.self)
}
func text(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String {
    String(decoding: range.map { bytes[$0] }, as: UTF8.self)
}

extension FlushResult {
    var name: String {
        switch self {
        case .emptied: "emptied"
        case .blocked: "blocked"
        case .broken: "broken"
        }
    }
}
