// Where the vault is: https, or plain http to this machine alone, because every request carries a token.
import Foundation

struct VaultAddress: Sendable, CustomStringConvertible {
    let host: String
    let port: Int
    let isSecure: Bool

    var description: String { "\(isSecure ? "https" : "http")://\(authority)" }

    /// The Host field of requests.
    var authority: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    init?(_ text: String) {
        guard let parts = URLComponents(string: text), let scheme = parts.scheme?.lowercased(),
            let written = parts.encodedHost, !written.isEmpty, parts.user == nil, parts.password == nil,
            parts.path.isEmpty || parts.path == "/", parts.query == nil, parts.fragment == nil
        else { return nil }
        host = written.trimmingCharacters(in: CharacterSet(charactersIn: "[]")).lowercased()
        switch scheme {
        case "https": isSecure = true
        case "http" where host == "localhost" || host == "::1" || host.hasPrefix("127."): isSecure = false
        default: return nil
        }
        port = parts.port ?? (isSecure ? 443 : 80)
    }
}
