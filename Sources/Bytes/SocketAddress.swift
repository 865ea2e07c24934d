// An IP address with a port: what a TCP socket is bound or connected to.

package struct SocketAddress: Sendable, Hashable, BitwiseCopyable {
    package var address: IPAddress
    package var port: UInt16

    package init(address: IPAddress, port: UInt16) {
        self.address = address
        self.port = port
    }

    /// `192.0.2.1:80` or `[2001:db8::1]:80`; nil without a port of 0…65535, or for a host name. Allocates nothing.
    package init?(_ text: borrowing Span<UInt8>) {
        var colon = text.count - 1
        while colon >= 0, text[colon] != UInt8(ascii: ":") { colon -= 1 }
        guard colon > 0, (1...5).contains(text.count - 1 - colon) else { return nil }
        var port = 0
        for i in colon + 1..<text.count {
            let digit = text[i] &- UInt8(ascii: "0")
            guard digit <= 9 else { return nil }
            port = port * 10 + Int(digit)
        }
        let isBracketed = text[0] == UInt8(ascii: "[") && text[colon - 1] == UInt8(ascii: "]") && colon > 1
        guard port <= 65535, let host = IPAddress(text.extracting(isBracketed ? 1..<colon - 1 : 0..<colon)),
            host.family == (isBracketed ? .v6 : .v4)
        else { return nil }
        self.init(address: host, port: UInt16(port))
    }
    package init?(_ text: String) {
        let bytes = Array(text.utf8)
        self.init(bytes.span)
    }
}

extension SocketAddress: CustomStringConvertible {
    /// `192.0.2.1:80`, `[2001:db8::1]:80`
    package var text: String { address.family == .v4 ? "\(address.text):\(port)" : "[\(address.text)]:\(port)" }
    package var description: String { text }
}
