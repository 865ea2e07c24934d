import Connections
import HTTP
import Reactor
import Transport

// A client connection with everything it borrows, driven as a worker drives it.
@testable import Bytes

struct ClientSide: ~Copyable {
    var connection: ClientConnection
    var pool = BufferPool()
    var input: ByteBuffer
    var head = ResponseHead()
    let peer: Peer

    /// - Parameter isConnected: the attempt to connect has succeeded.
    init(sendBuffer: Int32 = 0, input capacity: Int = 256 * 1024, isConnected: Bool = true) throws {
        let ends = try connectedPair(sendBuffer: sendBuffer)
        connection = ClientConnection(connecting: Stream(Socket(owning: ends.near)), endpoint: 3)
        peer = Peer(ends.far)
        input = ByteBuffer(capacity: capacity)
        if isConnected { _ = connection.note(.writable) }
    }

    /// Writes a request without a body.
    mutating func request(isHEAD: Bool = false) {
        begin(.none, isHEAD: isHEAD)
        connection.endRequest(&pool)
    }
    mutating func begin(_ framing: BodyFraming, isHEAD: Bool = false) {
        connection.beginRequest(framing, isHEAD: isHEAD)
        connection.output.reserve(64, &pool)
        connection.output.append("GET / HTTP/1.1\r\n\r\n")
    }
    mutating func sendBody(_ bytes: [UInt8]) { connection.sendBody(bytes.span, &pool) }
    mutating func endRequest() { connection.endRequest(&pool) }
    mutating func flush() -> String { connection.flush(&pool).name }
    mutating func delivered() -> [UInt8] {
        var all: [UInt8] = []
        for _ in 0..<10_000 {
            let result = flush()
            all += peer.read()
            if result != "blocked" { return all }
        }
        return all
    }
    /// A whole exchange, so that the connection may rest.
    mutating func exchange() throws -> [String] {
        request()
        _ = delivered()
        return try receive("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    }

    /// Sends bytes to the connection and says what it makes of them.
    mutating func receive(_ text: String) throws -> [String] {
        try peer.write(text)
        _ = connection.note(.readable)
        return events()
    }
    mutating func receiveEnd() -> [String] {
        peer.end()
        _ = connection.note(.ended)
        return events()
    }
    mutating func events() -> [String] {
        var said: [String] = []
        while connection.canProceed {
            switch connection.receive(into: &input, &pool) {
            case .nothing: return said
            case .closed: return said + [connection.endOfStream() ? "end of stream" : "cut short"]
            case .failed: return said + ["failed"]
            case .bytes: if !take(&said) { return said }
            }
        }
        return said
    }
    private mutating func take(_ said: inout [String]) -> Bool {
        while true {
            switch connection.next(in: &input, head: &head) {
            case .head: said.append("\(head.status)")
            case .body(let n):
                said.append("body \(n < 100 ? front(n, of: input) : "\(n)")")
                input.consume(n)
            case .end:
                // The owner is done with it: what is left over is not looked at.
                said.append("end")
                return false
            case .starved, .paused:
                connection.keep(&input, &pool)
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
}
