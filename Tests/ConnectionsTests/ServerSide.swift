import Connections
import HTTP
import Reactor
import Testing
import Transport

// A server connection with everything it borrows, driven as a worker drives it.
@testable import Bytes

struct ServerSide: ~Copyable {
    var connection: ServerConnection
    var pool = BufferPool()
    var input: ByteBuffer
    var head = RequestHead()
    var limits = HTTPLimits()
    let filter = FieldFilter(dropping: FieldSet())
    let nothing = ByteBuffer(capacity: 1)
    let peer: Peer

    init(sendBuffer: Int32 = 0, input capacity: Int = 256 * 1024, offersStreams: Bool = false) throws {
        let ends = try connectedPair(sendBuffer: sendBuffer)
        connection = ServerConnection(
            Stream(Socket(owning: ends.near)), address: ClientAddress(.unix), listener: 0,
            offersStreams: offersStreams)
        peer = Peer(ends.far)
        input = ByteBuffer(capacity: capacity)
    }

    /// Sends bytes to the connection and says what it makes of them.
    mutating func receive(_ text: String) throws -> [String] { try receive(Array(text.utf8)) }
    mutating func receive(_ bytes: [UInt8]) throws -> [String] {
        try peer.write(bytes)
        connection.note(.readable)
        return events()
    }
    /// Everything the connection says until it waits for bytes or for its owner.
    mutating func events() -> [String] {
        var said: [String] = []
        while connection.canProceed {
            switch connection.receive(into: &input, &pool) {
            case .nothing: return said
            case .closed: return said + ["closed"]
            case .failed: return said + ["failed"]
            case .bytes: if !take(&said) { return said }
            }
        }
        return said
    }
    /// False: it is over.
    private mutating func take(_ said: inout [String]) -> Bool {
        while true {
            switch connection.next(in: &input, head: &head, limits: limits) {
            case .head: said.append("\(text(head.bytes, head.methodRange)) \(text(head.bytes, head.targetRange))")
            case .body(let n):
                said.append("body \(n < 100 ? front(n, of: input) : "\(n)")")
                input.consume(n)
            case .end: said.append("end")
            case .starved:
                connection.keep(&input, &pool)
                return true
            case .paused:
                connection.keep(&input, &pool)
                said.append("paused")
                return true
            case .malformed(let error):
                said.append("malformed \(error)")
                return false
            case .overrun:
                said.append("overrun")
                return false
            case .streams:
                said.append("streams")
                return false
            }
        }
    }

    /// Answers with an upstream's head.
    mutating func sendHead(_ text: String) throws {
        let bytes = Array(text.utf8)
        var response = ResponseHead(), progress = HeadProgress()
        guard case .complete = response.parse(bytes.span, isHEAD: false, limits: .response, progress: &progress) else {
            throw PeerFailed()
        }
        connection.sendHead(response, dropping: filter, adding: nothing, &pool)
    }
    mutating func sendInterim(_ text: String) throws {
        let bytes = Array(text.utf8)
        var response = ResponseHead(), progress = HeadProgress()
        guard case .complete = response.parse(bytes.span, isHEAD: false, limits: .response, progress: &progress) else {
            throw PeerFailed()
        }
        connection.sendInterim(response, dropping: filter, &pool)
    }
    mutating func sendBody(_ bytes: [UInt8]) { connection.sendBody(bytes.span, &pool) }
    mutating func endResponse() -> Bool { connection.endResponse(&pool) }
    mutating func flush() -> String { connection.flush(&pool).name }
    /// A whole answer of its own; true: the connection goes on.
    mutating func answer(closing: Bool) -> Bool {
        connection.output.reserve(64, &pool)
        connection.output.append("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        return connection.answered(closing: closing)
    }
    /// What the peer has by now, after everything queued went out.
    mutating func delivered() -> [UInt8] {
        var all: [UInt8] = []
        for _ in 0..<10_000 {
            let result = flush()
            all += peer.read()
            if result != "blocked" { return all }
        }
        return all
    }
    mutating func deliveredText() -> String { String(decoding: delivered(), as: UTF8.self) }
}
