// The cookie in which a browser holds its refresh token, where no script can read it.
import Foundation
import HTTPTypes

/// Each scheme has a cookie of its own, and only that one is read: what was set over clear text is never believed over TLS.
enum RefreshCookie: String, Sendable {
    /// Browsers take this prefix only over TLS, for the whole host and for no other (RFC 6265bis §4.1.3.2).
    case secure = "__Host-refresh"
    /// For development: plain http on one's own machine.
    case development = "refresh-dev"

    /// The codes that say that the token will never be good again. With any other the browser keeps it: a busy service,
    /// a broken one or the slower of two tabs must not log anybody out.
    private static let finalCodes: Set = [
        Problem.refreshExpired.code, Problem.refreshRevoked.code, Problem.refreshReused.code,
    ]

    /// Nil for clear text from another machine, over which no token may travel.
    init?(_ client: ForwardedClient, of fields: HTTPFields, peer: String?) {
        if client.isSecure(in: fields, peer: peer) {
            self = .secure
        } else if ForwardedClient.isLoopback(client.address(in: fields, peer: peer)) {
            self = .development
        } else {
            return nil
        }
    }

    /// The token in the cookie of this name; nil without one.
    func token(in fields: HTTPFields) throws(Problem) -> String? {
        let pairs = fields[values: .cookie].flatMap { $0.split(separator: ";") }.compactMap { pair in
            let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = halves[0].trimmingCharacters(in: .whitespaces)
            return name == rawValue && halves.count == 2 ? halves[1].trimmingCharacters(in: .whitespaces) : nil
        }
        // One was set by somebody else, and nobody can tell which.
        guard pairs.count <= 1 else { throw .repeatedCookie }
        return pairs.first.flatMap { $0.isEmpty ? nil : $0 }
    }

    /// The Set-Cookie field that hands the token to the browser.
    func field(token: String, maxAge: Lifetime) -> String {
        let secure = self == .secure ? "; Secure" : ""
        return "\(rawValue)=\(token); Path=/; Max-Age=\(maxAge.seconds)\(secure); HttpOnly; SameSite=Strict"
    }

    /// The Set-Cookie field that takes it away.
    var removal: String {
        let secure = self == .secure ? "; Secure" : ""
        return "\(rawValue)=; Path=/; Max-Age=0\(secure); HttpOnly; SameSite=Strict"
    }

    /// The problem as a browser shall get it whose token came in this cookie.
    func answer(_ problem: Problem) -> Problem {
        guard Self.finalCodes.contains(problem.code) else { return problem }
        var problem = problem
        problem.setCookie = removal
        return problem
    }
}

extension Problem {
    fileprivate static let repeatedCookie = Problem(
        status: .badRequest, code: "invalid_request", detail: "the cookie of the refresh token is given twice")
}
