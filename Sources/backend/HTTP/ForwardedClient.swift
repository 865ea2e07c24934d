// Where a request comes from: the peer itself, or the client that a configured proxy names for it.
import Foundation
import HTTPTypes

struct ForwardedClient: Sendable {
    private static let forwardedFor = HTTPField.Name("X-Forwarded-For")
    private static let forwardedProto = HTTPField.Name("X-Forwarded-Proto")

    /// The addresses of proxies whose forwarded fields are believed; anybody else's are as absent.
    let trustedProxies: Set<String>

    /// A list as in `127.0.0.1, ::1`, or `none`; nil when an element is no address.
    init?(_ text: String) {
        if text == "none" {
            trustedProxies = []
            return
        }
        let addresses = text.split(separator: ",", omittingEmptySubsequences: false)
            .map { $0.trimmingCharacters(in: .whitespaces) }
        guard addresses.allSatisfy(Self.isAddress) else { return nil }
        trustedProxies = Set(addresses)
    }

    /// Whether the sender of the request may speak for others.
    func isTrusted(peer: String?) -> Bool { peer.map(trustedProxies.contains) ?? false }

    /// The address of the client. Proxies append to X-Forwarded-For: what stands furthest right and is no proxy of
    /// ours is the last that one of ours has seen; all before it is hearsay.
    func address(in fields: HTTPFields, peer: String?) -> String {
        guard let peer else { return "unknown" }
        guard trustedProxies.contains(peer), let name = Self.forwardedFor else { return peer }
        let hops = fields[values: name].flatMap { $0.split(separator: ",") }
            .map { $0.trimmingCharacters(in: .whitespaces) }
        guard let client = hops.last(where: { !trustedProxies.contains($0) }), Self.isAddress(client) else {
            return peer
        }
        return client
    }

    /// Whether the client speaks TLS with the proxy that it reached; with us itself nobody can.
    func isSecure(in fields: HTTPFields, peer: String?) -> Bool {
        guard isTrusted(peer: peer), let name = Self.forwardedProto else { return false }
        return fields[values: name] == ["https"]
    }

    /// Whether this is an address of the machine itself.
    static func isLoopback(_ address: String) -> Bool {
        address == "::1" || address.hasPrefix("127.") || address.hasPrefix("::ffff:127.")
    }

    /// Digits, colons and dots, and no more of them than the longest IPv6 address has.
    private static func isAddress(_ text: String) -> Bool {
        (1...45).contains(text.utf8.count) && text.allSatisfy { $0.isHexDigit || $0 == "." || $0 == ":" }
    }
}
