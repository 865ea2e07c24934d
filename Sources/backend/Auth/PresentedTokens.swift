// The tokens that a request of refresh or logout brings: in its cookie, in its body, as bearer.
import HTTPTypes
import Hummingbird

struct PresentedTokens: Sendable {
    /// Far above our 43 characters: an access token sent by mistake is told that it is no refresh token.
    private static let tokenLimitCharacters = 8192

    /// Of the Authorization field; read for logout alone.
    private(set) var bearer: String?
    private(set) var refresh: String?
    /// The refresh token came by cookie, so that the browser said it and not the page.
    private(set) var isFromCookie = false

    /// What renews a session: the cookie, or a member of the body; never both.
    static func forRefresh(
        _ request: Request, cookie: RefreshCookie?, names: AnswerNames = .standard
    ) async throws -> PresentedTokens {
        var tokens = PresentedTokens()
        tokens.refresh = try cookie?.token(in: request.headers)
        tokens.isFromCookie = tokens.refresh != nil
        guard let given = try await refreshToken(in: request, names: names) else { return tokens }
        guard !tokens.isFromCookie else { throw Problem.repeatedToken }
        tokens.refresh = given
        return tokens
    }

    /// What ends a session. A request that only its bearer speaks for needs no body: no page of another site can send it.
    static func forLogout(_ request: Request, cookie: RefreshCookie?) async throws -> PresentedTokens {
        var tokens = PresentedTokens()
        let hasBearer = request.headers[.authorization] != nil
        let hasCookie = try cookie?.token(in: request.headers) != nil
        if !hasBearer || hasCookie || request.headers[.contentType] != nil {
            tokens = try await forRefresh(request, cookie: cookie)
        }
        if hasBearer { tokens.bearer = try RequirePermission.bearerToken(in: request.headers) }
        guard tokens.bearer != nil || tokens.refresh != nil else { throw Problem.refreshInvalid }
        return tokens
    }

    private static func refreshToken(in request: Request, names: AnswerNames) async throws -> String? {
        guard let body = try await request.optionalJSONBody() else { return nil }
        var members = try MemberReader(body)
        var token = try members.optionalString("refresh_token", charactersUpTo: tokenLimitCharacters)
        if names == .camel {
            let camel = try members.optionalString("refreshToken", charactersUpTo: tokenLimitCharacters)
            guard token == nil || camel == nil else {
                throw members.fault("give either \"refreshToken\" or \"refresh_token\", not both", at: "refreshToken")
            }
            token = token ?? camel
            // Older clients send the access token along that is to be replaced; it decides nothing.
            _ = try members.optionalString("token", charactersUpTo: tokenLimitCharacters)
        }
        try members.finish()
        return token
    }
}

extension Problem {
    fileprivate static let repeatedToken = Problem(
        status: .badRequest, code: "invalid_request",
        detail: "the refresh token is given twice, in the cookie and in the body", member: "refresh_token")
}
