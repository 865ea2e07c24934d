// An IP address with a port: what a TCP socket is bound or connected to.

package struct SocketAddress: Sendable, Hashable, BitwiseCopyable {
    package var address: IPAddress
    package var port: UInt16

    package init(address: IPAddress, port: UInt16) {
        self.address = address
        self.port = port
    }

    /// `192.0.2.1:80` or `[2001:db8::1]:80`; nil without a port of 0…65535, or for a host name.
    package init?(_ text: String) {
        guard let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")) else { return nil }
        let digits = text[text.utf8.index(after: colon)...]
        guard (1...5).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let port = UInt16(digits)
        else { return nil }
        let host = text[..<colon]
        if host.utf8.first == UInt8(ascii: "["), host.utf8.last == UInt8(ascii: "]") {
            guard let address = IPAddress(String(host.dropFirst().dropLast())), address.family == .v6 else {
                return nil
            }
            self.init(address: address, port: port)
        } else {
            guard let address = IPAddress(String(host)), address.family == .v4 else { return nil }
            self.init(address: address, port: port)
        }
    }
}

extension SocketAddress: CustomStringConvertible {
    /// `192.0.2.1:80`, `[2001:db8::1]:80`
    package var text: String { address.family == .v4 ? "\(address.text):\(port)" : "[\(address.text)]:\(port)" }
    package var description: String { text }
}
