// The routes of the auth service.
import HTTPTypes
import Hummingbird

struct AuthRouter: Sendable {
    /// Where a request comes from, and the cookie that fits the way it came: none over clear text from elsewhere.
    private struct Sender {
        let address: String
        let cookie: RefreshCookie?
    }

    let service: AuthService
    let authentication: ClientAuthentication
    let limits: LoginLimits
    let client: ForwardedClient
    let origins: OriginGuard
    /// How long a refresh token lives that nobody uses: the browser need not keep it longer.
    let cookieMaxAge: Lifetime

    func add(to router: some RouterMethods<AuthCall>) {
        for folder in ["/api/v1/auth", "/auth", ""] {
            // The short paths are those of older clients, whose words may be asked for there.
            let isAlias = folder != "/api/v1/auth"
            router.post("\(folder)/login") { request, context in
                try await login(request, context, names: isAlias ? AnswerNames(of: request) : .standard)
            }
            router.post("\(folder)/refresh") { request, context in
                try await refresh(request, context, names: isAlias ? AnswerNames(of: request) : .standard)
            }
            router.post("\(folder)/logout") { request, context in
                try await logout(request, context, everywhere: false)
            }
            router.post("\(folder)/logout-all") { request, context in
                try await logout(request, context, everywhere: true)
            }
        }
        router.post("/api/v1/auth/validate") { request, _ in try await validate(request) }
    }

    private func login(_ request: Request, _ context: AuthCall, names: AnswerNames) async throws -> Response {
        try request.requireJSON()
        let sender = try sender(of: request, context)
        let cookie = try safeCookie(of: sender)
        try limits.admit(sender.address)
        let credentials = try Credentials(try await request.jsonBody())
        let attempt = LoginAttempt(name: credentials.name, address: sender.address)
        let answer = try await limits.guarding(attempt) {
            try await service.login(credentials, logger: context.logger)
        }
        return tokens(answer, names, cookie: OriginGuard.isFromBrowser(request.headers) ? cookie : nil)
    }

    private func refresh(_ request: Request, _ context: AuthCall, names: AnswerNames) async throws -> Response {
        try request.requireJSON()
        let sender = try sender(of: request, context)
        let cookie = try safeCookie(of: sender)
        let presented = try await PresentedTokens.forRefresh(request, cookie: cookie, names: names)
        if presented.isFromCookie { try origins.requireScript(request.headers, address: sender.address) }
        guard let text = presented.refresh else { throw Problem.refreshInvalid }
        do {
            let token = try service.format.token(presented: text)
            let answer = try await service.refresh(token, logger: context.logger)
            let byCookie = presented.isFromCookie || OriginGuard.isFromBrowser(request.headers)
            return tokens(answer, names, cookie: byCookie ? cookie : nil)
        } catch let problem as Problem where presented.isFromCookie {
            throw cookie.answer(problem)
        }
    }

    /// Ends what the request's tokens stand for. The cookie goes with its session.
    private func logout(_ request: Request, _ context: AuthCall, everywhere: Bool) async throws -> Response {
        let sender = try sender(of: request, context)
        let presented = try await PresentedTokens.forLogout(request, cookie: sender.cookie)
        if presented.isFromCookie { try origins.requireScript(request.headers, address: sender.address) }
        try await service.logout(presented, everywhere: everywhere)
        var response = Response(status: .noContent)
        if presented.isFromCookie { response.headers[.setCookie] = sender.cookie?.removal }
        return response
    }

    /// Without a body the caller asks about the token that he sends; with `{"token": …}` he must be signed in himself, or
    /// be a program that may ask.
    private func validate(_ request: Request) async throws -> Response {
        guard let field = request.headers[.authorization] else { throw Problem.missingToken }
        if field.prefix(6).lowercased() == "basic " {
            _ = try await authentication.client(of: request, right: .introspect)
        } else {
            let caller = try RequirePermission.bearerToken(in: request.headers)
            guard request.headers[.contentType] != nil else {
                return Response.json(bytes: try await service.status(of: caller).json)
            }
            _ = try await service.callers.caller(bearing: caller)
        }
        var members = try MemberReader(try await request.jsonBody())
        let token = try members.string("token", charactersUpTo: 8192)
        try members.finish()
        return Response.json(bytes: try await service.status(of: token).json)
    }

    private func sender(of request: Request, _ context: AuthCall) throws -> Sender {
        let address = client.address(in: request.headers, peer: context.peerAddress)
        try origins.admit(request.headers, address: address)
        return Sender(
            address: address, cookie: RefreshCookie(client, of: request.headers, peer: context.peerAddress))
    }

    /// Throws when nothing secret may come this way.
    private func safeCookie(of sender: Sender) throws(Problem) -> RefreshCookie {
        guard let cookie = sender.cookie else { throw origins.clearText(from: sender.address) }
        return cookie
    }

    /// The tokens; with a cookie the refresh token is in that alone.
    private func tokens(
        _ answer: TokenAnswer, _ names: AnswerNames, cookie: RefreshCookie?
    ) -> Response {
        var answer = answer
        var fields: HTTPFields = [:]
        if let cookie, let token = answer.refreshToken {
            fields[.setCookie] = cookie.field(token: token, maxAge: cookieMaxAge)
            answer.refreshToken = nil
        }
        return Response.json(bytes: answer.json(names), fields: fields)
    }
}
