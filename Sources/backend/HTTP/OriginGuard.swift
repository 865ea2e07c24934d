// Keeps pages of other sites from logging a browser in or out, and from using the cookie that it holds (CSRF).
import HTTPTypes

struct OriginGuard: Sendable {
    private static let fetchSite = HTTPField.Name("Sec-Fetch-Site")
    private static let requestedWith = HTTPField.Name("X-Requested-With")

    /// Configured, never taken from Host, which the sender of a request writes himself. Without one no page is ours.
    let publicOrigin: PublicOrigin?
    let audit: AuditLog

    /// Throws `origin_denied` when the browser says that another site's page sends this. Programs say nothing.
    func admit(_ fields: HTTPFields, address: String) throws(Problem) {
        let sites = Self.values(Self.fetchSite, in: fields)
        let origins = fields[values: .origin]
        guard sites.allSatisfy({ $0 == "same-origin" }), origins.allSatisfy({ $0 == publicOrigin?.description }) else {
            throw denied(address)
        }
    }

    /// A request that its cookie speaks for must have this field: neither a form nor an image of a page can send one.
    func requireScript(_ fields: HTTPFields, address: String) throws(Problem) {
        guard Self.values(Self.requestedWith, in: fields).contains(where: { !$0.isEmpty }) else {
            throw denied(address)
        }
    }

    /// What to answer to a password or a token that came in clear text from another machine.
    func clearText(from address: String) -> Problem {
        audit.record(.clearText, address: address)
        return .clearText
    }

    /// Whether a browser sent the request: it alone writes this field, and no script can remove it.
    static func isFromBrowser(_ fields: HTTPFields) -> Bool { !values(fetchSite, in: fields).isEmpty }

    private static func values(_ name: HTTPField.Name?, in fields: HTTPFields) -> [String] {
        name.map { fields[values: $0] } ?? []
    }

    private func denied(_ address: String) -> Problem {
        audit.record(.originDenied, address: address)
        return .originDenied
    }
}

extension Problem {
    static let originDenied = Problem(
        status: .forbidden, code: "origin_denied", detail: "pages of other origins may not do this")
    fileprivate static let clearText = Problem(
        status: .forbidden, code: "policy_violation",
        detail: "passwords and tokens are taken over https only, except on the machine itself")
}
