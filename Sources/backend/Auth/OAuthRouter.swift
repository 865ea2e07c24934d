// The endpoints of OAuth 2 for programs: introspection, revocation and refresh, with form bodies and client authentication.
import Foundation
import HTTPTypes
import Hummingbird
import Logging

struct OAuthRouter: Sendable {
    let authentication: ClientAuthentication
    let introspection: Introspection
    let service: AuthService
    let callers: CallerVerifier
    let sessions: any SessionStore

    func add(to router: some RouterMethods<AuthCall>) {
        router.post("/oauth/introspect") { request, _ in
            let form = try await FormBody(request)
            _ = try await authentication.client(of: request, form: form, right: .introspect)
            let answer = try await introspection.answer(
                about: try form.require("token"), hint: form["token_type_hint"])
            return try Response.json(answer)
        }
        router.post("/oauth/revoke") { request, _ in
            let form = try await FormBody(request)
            let client = try await authentication.client(of: request, form: form, right: .tokens)
            try await revoke(try form.require("token"), for: client)
            return Response(status: .ok)
        }
        router.post("/oauth/token") { request, context in
            let form = try await FormBody(request)
            let client = try await authentication.client(of: request, form: form, right: .tokens)
            let answer = try await refresh(form, for: client, logger: context.logger)
            return Response.json(bytes: answer.json(.standard))
        }
    }

    /// Ends the session of the token (RFC 7009 §2.1). For one that is not good there is nothing to do or to tell (§2.2).
    private func revoke(_ text: String, for client: Client) async throws {
        guard let (session, tokenID) = try await session(of: text) else { return }
        guard session.clientID == client.id else {
            throw Problem.oauth("unauthorized_client", "the token was issued to another client")
        }
        try await sessions.end(
            session: session.id, tokenID: tokenID, nowMilliseconds: Date.now.milliseconds)
        service.audit.record(.tokenRevoked, subject: session.user, ["sid": session.id, "client": client.id])
    }

    /// The session of a token, with the `jti` of an access token.
    private func session(of text: String) async throws -> (Session, tokenID: String?)? {
        if let token = try? service.format.token(presented: text) {
            return try await sessions.session(of: token).map { ($0, tokenID: nil) }
        }
        do {
            let caller = try await callers.caller(bearing: text)
            return caller.principal.clientID.map { clientID in
                let session = Session(id: caller.session, user: caller.principal.subject, clientID: clientID)
                return (session, tokenID: caller.principal.tokenID)
            }
        } catch let problem as Problem where problem.status == .unauthorized {
            return nil
        }
    }

    private func refresh(_ form: FormBody, for client: Client, logger: Logger) async throws -> TokenAnswer {
        guard try form.require("grant_type") == "refresh_token" else {
            throw Problem.oauth("unsupported_grant_type", "only grant_type=refresh_token is served here")
        }
        let text = try form.require("refresh_token")
        // To answer with more than was asked for would be wrong, and tokens with less are not made.
        guard form["scope"] == nil else {
            throw Problem.oauth("invalid_scope", "the scope of a session cannot be changed")
        }
        do {
            let token = try service.format.token(presented: text)
            guard let session = try await sessions.session(of: token), session.clientID == client.id else {
                throw Problem.refreshInvalid
            }
            return try await service.refresh(token, logger: logger)
        } catch let problem as Problem where problem.status == .unauthorized {
            throw Self.invalidGrant(problem)
        }
    }

    private static func invalidGrant(_ problem: Problem) -> Problem {
        .oauth("invalid_grant", problem.detail, code: problem.code)
    }
}
