// Peers that are believed about whom a request, or a connection, is really from.
package import Bytes

/// `trusted_proxies`: what its own address must be.
package struct TrustedProxies: Sendable, Equatable {
    package var networks: [CIDR] = []
    /// Whoever connects to a UNIX-domain socket of ours.
    package var includesUNIX = false

    package init() {}

    package var isEmpty: Bool { networks.isEmpty && !includesUNIX }
    /// - Parameter address: nil for the peer of a UNIX-domain socket.
    package func contains(_ address: IPAddress?) -> Bool {
        guard let address else { return includesUNIX }
        return networks.contains { $0.contains(address) }
    }
}

extension Codec where Value == TrustedProxies {
    static let proxies = Codec(
        form: "none | ADDRESS[/BITS] … | unix:", arity: 1 ... .max,
        parse: { arguments throws(Diagnostic) in
            var proxies = TrustedProxies()
            if arguments.count == 1, arguments[0].text == "none" { return proxies }
            for word in arguments {
                if word.text == "unix:" {
                    proxies.includesUNIX = true
                    continue
                }
                guard let network = CIDR(word.text) else {
                    throw word.error(
                        "\"\(word.shown)\" is neither an address nor a block of addresses",
                        suggestion: "write 192.0.2.1, 192.0.2.0/24, 2001:db8::/32 or unix:, or none alone")
                }
                proxies.networks.append(network)
            }
            return proxies
        },
        print: { proxies in
            if proxies.isEmpty { return ["none"] }
            return proxies.networks.map(\.description) + (proxies.includesUNIX ? ["unix:"] : [])
        })
}
