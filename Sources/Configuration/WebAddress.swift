// An address that the gateway itself asks over HTTP: for keys, for metadata. Where it may lead is decided here, for all.
package import Bytes

package struct WebAddress: Sendable, Equatable {
    /// Why a text is no such address.
    package enum Fault: Error, Equatable { case scheme, characters, host }

    /// As it was said.
    package let url: String
    package let isTLS: Bool
    /// Without brackets, in lower case.
    package let host: String
    package let port: UInt16
    /// Path and query.
    package private(set) var target: String

    package init(_ url: String) throws(Fault) {
        guard let scheme = ["https", "http"].first(where: { url.hasPrefix($0 + "://") }) else { throw .scheme }
        let rest = url.dropFirst(scheme.utf8.count + 3)
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        let target = rest.dropFirst(authority.utf8.count)
        guard target.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "#") }) else { throw .characters }
        guard let place = HostAndPort(String(authority), defaultPort: scheme == "https" ? 443 : 80) else { throw .host }
        self.url = url
        isTLS = scheme == "https"
        host = place.host.lowercased()
        port = place.port
        self.target = target.hasPrefix("/") ? String(target) : "/" + target
    }

    /// The value of the Host field: without the port that the scheme implies.
    package var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (isTLS ? 443 : 80) ? name : "\(name):\(port)"
    }
    package var origin: String { "\(isTLS ? "https" : "http")://\(authority)" }
    package var isLiteral: Bool { IPAddress(host) != nil }
    /// A literal address of this machine: what goes there in clear text nobody else reads or changes.
    package var isLiteralLoopback: Bool { IPAddress(host)?.isLoopback ?? false }

    /// The same place with another path.
    package func asking(_ target: String) -> WebAddress {
        var other = self
        other.target = target
        return other
    }

    /// Where a `Location` field leads (RFC 9110 section 10.2.2); nil unless that is the same origin.
    package func redirected(to location: String) -> WebAddress? {
        let place = location.prefix { $0 != "#" }
        guard !place.isEmpty, place.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else { return nil }
        let path = target.prefix { $0 != "?" }
        if place.hasPrefix("//") { return sameOrigin((isTLS ? "https:" : "http:") + place) }
        if place.hasPrefix("/") { return asking(String(place)) }
        if place.hasPrefix("?") { return asking("\(path)\(place)") }
        if place.prefix(while: { $0 != "/" && $0 != "?" }).contains(":") { return sameOrigin(String(place)) }
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "/"
        return asking("\(folder)\(place)")
    }
    private func sameOrigin(_ url: String) -> WebAddress? {
        guard let other = try? WebAddress(url), other.origin == origin else { return nil }
        return asking(other.target)
    }
}

// Where a name may lead
extension WebAddress {
    package enum LookUp: Sendable, Equatable {
        /// Not empty.
        case found([SocketAddress])
        case unknown
        /// Every address is of this machine or its link, and nobody said that this is meant; the first of them.
        case forbidden(IPAddress)
    }

    /// Asks the resolver; may take long. `isConfigured`: the host was written by whoever configures the gateway, not by a
    /// document that it fetched.
    package func lookUp(isConfigured: Bool, allowsInternal: Bool) -> LookUp {
        admit(HostResolution.addresses(of: host), isConfigured: isConfigured, allowsInternal: allowsInternal)
    }

    /// Whoever controls a name can let it lead to this machine or to instance metadata, and have us ask there. A literal
    /// address and `localhost` say themselves where they lead; `allowsInternal` is for whoever means it nevertheless.
    package func admit(_ addresses: [IPAddress], isConfigured: Bool, allowsInternal: Bool) -> LookUp {
        guard let first = addresses.first else { return .unknown }
        let admitted = addresses.filter { address in
            if !address.isInternal || allowsInternal { return true }
            guard isConfigured else { return false }
            return isLiteral || (host == "localhost" && address.isLoopback)
        }
        if admitted.isEmpty { return .forbidden(first) }
        return .found(admitted.map { SocketAddress(address: $0, port: port) })
    }
}
