// `host:port` as it stands in a configuration, and the addresses behind it.
internal import Bytes

struct HostAndPort: Sendable, Equatable {
    /// Without brackets.
    var host: String
    var port: UInt16
    var hasPort: Bool

    /// Nil for an empty or impossible host, and for a port that is none or 0.
    init?(_ text: String, defaultPort: UInt16) {
        var host = text[...]
        var digits: Substring?
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { return nil }
            host = text[text.index(after: text.startIndex)..<end]
            let rest = text[text.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":"), IPAddress(String(host))?.family == .v6 else { return nil }
            digits = rest.isEmpty ? nil : rest.dropFirst()
        } else if let colon = text.lastIndex(of: ":") {
            host = text[..<colon]
            digits = text[text.index(after: colon)...]
            guard !host.contains(":") else { return nil }
        }
        guard !host.isEmpty, host.utf8.count <= 253, text.hasPrefix("[") || host.utf8.allSatisfy(Self.isNameByte) else {
            return nil
        }
        self.host = String(host)
        port = defaultPort
        hasPort = digits != nil
        if let digits {
            guard let number = Units.decimal(String(digits)), let port = UInt16(exactly: number), port > 0 else {
                return nil
            }
            self.port = port
        }
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
        default: "-._".utf8.contains(byte)
        }
    }

    /// Every address the host has now; names are looked up once, when the configuration is read.
    var addresses: [SocketAddress] {
        HostResolution.addresses(of: host).map { SocketAddress(address: $0, port: port) }
    }
}

extension ListenAddress {
    /// As `listen` and `server` spell it.
    package var text: String {
        switch self {
        case .socket(let socket): socket.text
        case .unix(let path): "unix:\(path)"
        }
    }
}

extension ConfigurationReader {
    /// The path behind `unix:`, or nil when the word has no such prefix.
    func unixPath(_ word: Argument) throws(Diagnostic) -> String? {
        guard word.text.hasPrefix("unix:") else { return nil }
        let path = String(word.text.dropFirst(5)).joined(to: folder)
        // sun_path of sockaddr_un holds 108 bytes with the final zero.
        guard word.text.utf8.count > 5, path.utf8.count <= 107 else {
            throw word.error("the path of a UNIX-domain socket has 1 to 107 bytes")
        }
        return path
    }
}
