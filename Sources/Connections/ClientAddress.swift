// A client's address: the value, and its text written once for each connection, or for each request that a proxy passes on.
package import Bytes
package import Reactor

package struct ClientAddress: BitwiseCopyable {
    private var text = InlineArray<39, UInt8>(repeating: 0)
    private var count: UInt8 = 0
    package let port: UInt16

    package init(_ peer: PeerAddress) {
        switch peer {
        case .socket(let address):
            port = address.port
            if address.address.family == .v4 {
                writeV4(address.address)
            } else {
                for byte in address.address.text.utf8 { add(byte) }
            }
        case .unix:
            port = 0
            for byte in "unix:".utf8 { add(byte) }
        }
    }
    private mutating func writeV4(_ address: IPAddress) {
        for i in 0..<4 {
            let octet = address.octet(i)
            if octet >= 100 { add(48 + octet / 100) }
            if octet >= 10 { add(48 + octet / 10 % 10) }
            add(48 + octet % 10)
            if i < 3 { add(0x2e) }
        }
    }
    private mutating func add(_ byte: UInt8) {
        text[Int(count)] = byte
        count += 1
    }
    /// Nil for the peer of a UNIX-domain socket.
    package var address: IPAddress? { IPAddress(bytes) }
    /// Nil for the peer of a UNIX-domain socket.
    package var socketAddress: SocketAddress? { address.map { SocketAddress(address: $0, port: port) } }
    package var bytes: Span<UInt8> {
        @_lifetime(borrow self) borrowing get { text.span.extracting(0..<Int(count)) }
    }
}
