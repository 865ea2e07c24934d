// Where clients reach us from outside: scheme and authority, as a browser writes an Origin (RFC 6454 §6.2).
import Foundation

struct PublicOrigin: Sendable, Equatable, CustomStringConvertible {
    let description: String

    var isSecure: Bool { description.hasPrefix("https://") }

    /// `https://host`, `http://host:port`: nothing behind the authority.
    init?(_ text: String) {
        guard let origin = PublicOrigin(of: text), origin.description == text else { return nil }
        self = origin
    }

    /// The origin of an http or https address, whatever path it has.
    init?(of address: String) {
        guard let parts = URLComponents(string: address), let scheme = parts.scheme?.lowercased(),
            scheme == "https" || scheme == "http", let host = parts.encodedHost?.lowercased(), !host.isEmpty,
            parts.user == nil, parts.password == nil
        else { return nil }
        let usual = scheme == "https" ? 443 : 80
        let port = parts.port.flatMap { $0 == usual ? nil : ":\($0)" } ?? ""
        description = "\(scheme)://\(host)\(port)"
    }
}
