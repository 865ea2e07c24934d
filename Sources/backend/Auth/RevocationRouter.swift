// The route at which gateways listen for revocations; only clients that may.
import HTTPTypes
import Hummingbird

struct RevocationRouter: Sendable {
    /// Longer than any gateway asks for, shorter than the listener lets a connection rest.
    private static let longestWaitSeconds = 60

    let authentication: ClientAuthentication
    let feed: RevocationFeed

    func add(to router: some RouterMethods<AuthCall>) {
        router.get("/revocations") { request, _ in
            _ = try await authentication.client(of: request, right: .revocations)
            let wait = try Self.waitSeconds(of: request)
            let since = request.uri.queryParameters["since"].map(String.init)
            guard let page = try await feed.page(since: since, wait: .seconds(wait)) else {
                throw Problem.cursorUnknown
            }
            return try Response.json(page)
        }
    }

    private static func waitSeconds(of request: Request) throws -> Int {
        guard let text = request.uri.queryParameters["wait"] else { return 0 }
        guard let seconds = Int(text), 0...longestWaitSeconds ~= seconds else {
            throw Problem(
                status: .badRequest, code: "invalid_request",
                detail: "\"wait\" must be a number of seconds from 0 to \(longestWaitSeconds)", member: "wait")
        }
        return seconds
    }
}

extension Problem {
    static let cursorUnknown = Problem(
        status: .gone, code: "cursor_unknown", detail: "the feed has no such place: read it from its beginning")
}
