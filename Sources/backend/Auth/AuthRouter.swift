// The routes of the auth service.
import HTTPTypes
import Hummingbird

struct AuthRouter: Sendable {
    let service: AuthService
    let limits: LoginLimits
    let client: ForwardedClient

    func add(to router: some RouterMethods<AuthCall>) {
        for path: RouterPath in ["/api/v1/auth/login", "/auth/login", "/login"] {
            router.post(path) { request, context in
                let address = client.address(in: request.headers, peer: context.peerAddress)
                try limits.admit(address)
                let credentials = try Credentials(try await request.jsonBody())
                let answer = try await limits.guarding(LoginAttempt(name: credentials.name, address: address)) {
                    try await service.login(credentials, logger: context.logger)
                }
                return try Response.json(answer)
            }
        }
        for path: RouterPath in ["/api/v1/auth/refresh", "/auth/refresh", "/refresh"] {
            router.post(path) { request, context in
                let token = try Self.refreshToken(in: try await request.jsonBody())
                return try Response.json(try await service.refresh(token, logger: context.logger))
            }
        }
        addLogout(to: router)
        router.post("/api/v1/auth/validate") { request, _ in try await validate(request) }
    }

    private func addLogout(to router: some RouterMethods<AuthCall>) {
        for path: RouterPath in ["/api/v1/auth/logout", "/auth/logout", "/logout"] {
            router.post(path) { request, context in
                if let token = try Self.bearerToken(in: request) {
                    try await service.logout(accessToken: token, logger: context.logger)
                } else {
                    let token = try Self.refreshToken(in: try await request.jsonBody())
                    try await service.logout(refreshToken: token, logger: context.logger)
                }
                return Response(status: .noContent)
            }
        }
        for path: RouterPath in ["/api/v1/auth/logout-all", "/auth/logout-all", "/logout-all"] {
            router.post(path) { request, context in
                if let token = try Self.bearerToken(in: request) {
                    try await service.logoutAll(accessToken: token, logger: context.logger)
                } else {
                    let token = try Self.refreshToken(in: try await request.jsonBody())
                    try await service.logoutAll(refreshToken: token, logger: context.logger)
                }
                return Response(status: .noContent)
            }
        }
    }

    /// Without a body the caller asks about the token that he sends; with `{"token": …}` he must be signed in himself.
    private func validate(_ request: Request) async throws -> Response {
        guard let caller = try Self.bearerToken(in: request) else { throw Problem.missingToken }
        guard request.headers[.contentType] != nil else {
            return try Response.json(["status": try await service.status(of: caller)])
        }
        _ = try await service.callers.caller(bearing: caller)
        var members = try MemberReader(try await request.jsonBody())
        let token = try members.string("token", charactersUpTo: 8192)
        try members.finish()
        return try Response.json(["status": try await service.status(of: token)])
    }

    private static func bearerToken(in request: Request) throws -> String? {
        request.headers[.authorization] == nil ? nil : try RequirePermission.bearerToken(in: request.headers)
    }

    /// Reads `{"refresh_token": …}` and nothing else.
    private static func refreshToken(in body: JSONNode) throws(JSONFault) -> String {
        var members = try MemberReader(body)
        // Far above our 43 characters: an access token sent here by mistake is told that it is no refresh token.
        let token = try members.string("refresh_token", charactersUpTo: 8192)
        try members.finish()
        return token
    }
}
