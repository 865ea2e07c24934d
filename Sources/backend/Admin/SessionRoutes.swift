// The routes that list and end the sessions of others.
import Foundation
import HTTPTypes
import Hummingbird

struct SessionRoutes: Sendable {
    private struct Answer: Encodable {
        let listed: SessionDirectory.Listed
        let isCurrent: Bool

        private enum CodingKeys: String, CodingKey {
            case id, user
            case clientID = "client_id"
            case createdAt = "created_at"
            case refreshedAt = "refreshed_at"
            case expiresAt = "expires_at"
            case current
        }

        func encode(to encoder: any Encoder) throws {
            var members = encoder.container(keyedBy: CodingKeys.self)
            try members.encode(listed.session.id, forKey: .id)
            try members.encode(listed.session.user, forKey: .user)
            try members.encode(listed.session.clientID, forKey: .clientID)
            try members.encode(Date.text(milliseconds: listed.createdMilliseconds), forKey: .createdAt)
            try members.encode(listed.refreshedMilliseconds.map(Date.text), forKey: .refreshedAt)
            try members.encode(Date.text(milliseconds: listed.expiresMilliseconds), forKey: .expiresAt)
            try members.encode(isCurrent, forKey: .current)
        }
    }

    private struct PageAnswer: Encodable {
        let sessions: [Answer]
        let next: String?

        private enum CodingKeys: String, CodingKey { case sessions, next }

        func encode(to encoder: any Encoder) throws {
            var members = encoder.container(keyedBy: CodingKeys.self)
            try members.encode(sessions, forKey: .sessions)
            try members.encode(next, forKey: .next)
        }
    }

    private static let pageLimit = 1000
    private static let pageSize = 100

    let access: AdminAccess
    let accounts: AccountTable
    let store: any SessionStore

    func add(to router: some RouterMethods<AuthCall>) {
        router.get("/sessions") { request, _ in try await page(request) }
        router.get("/sessions/:id") { request, call in
            let caller = try await access.reader(of: request)
            return try Response.json(answer(try await session(call), for: caller))
        }
        router.delete("/sessions") { request, call in try await endAll(request, call) }
        router.delete("/sessions/:id") { request, call in try await end(request, call) }
        // People log in; nobody begins a session for another.
        for method in [HTTPRequest.Method.post, .put] {
            router.on("/sessions", method: method) { request, call in
                _ = try await access.writer(of: request)
                var response = try Problem.methodNotAllowed.response(from: request, context: call)
                response.headers[.allow] = "GET, DELETE"
                return response
            }
        }
    }

    private func page(_ request: Request) async throws -> Response {
        let caller = try await access.reader(of: request)
        let query = try QueryParameters(request, known: ["user", "limit", "before"])
        let size = try query.number("limit", in: 1...Self.pageLimit) ?? Self.pageSize
        let cursor = query["before"].map(SessionDirectory.Cursor.init)
        if case .some(.none) = cursor { throw Problem.badQuery("this is no \"next\" of ours", "before") }
        let found = try await store.page(
            of: query["user"], before: cursor ?? nil, limit: size + 1, nowMilliseconds: Date.now.milliseconds)
        let shown = found.prefix(size)
        let next = found.count > size ? shown.last.map { SessionDirectory.Cursor(after: $0).text } : nil
        return try Response.json(PageAnswer(sessions: shown.map { answer($0, for: caller) }, next: next))
    }

    private func end(_ request: Request, _ call: AuthCall) async throws -> Response {
        let caller = try await access.writer(of: request)
        let listed = try await session(call)
        try await store.end(session: listed.session.id, tokenID: nil, nowMilliseconds: Date.now.milliseconds)
        access.record(
            .sessionEnded, by: caller, subject: listed.session.user, request, call, ["sid": listed.session.id])
        return Response(status: .noContent)
    }

    private func endAll(_ request: Request, _ call: AuthCall) async throws -> Response {
        let caller = try await access.writer(of: request)
        guard let user = try QueryParameters(request, known: ["user"])["user"] else {
            throw Problem.badQuery("the parameter user must say whose sessions end", "user")
        }
        let now = Date.now.milliseconds
        guard try await accounts.account(named: user, nowMilliseconds: now) != nil else { throw Problem.userNotFound }
        try await store.endAll(of: user, nowMilliseconds: now)
        access.record(.sessionsEnded, by: caller, subject: user, request, call)
        return Response(status: .noContent)
    }

    private func session(_ call: AuthCall) async throws -> SessionDirectory.Listed {
        let found = try await store.alive(call.segment("id"), nowMilliseconds: Date.now.milliseconds)
        guard let found else { throw Problem.sessionNotFound }
        return found
    }

    private func answer(_ listed: SessionDirectory.Listed, for caller: Caller) -> Answer {
        Answer(listed: listed, isCurrent: listed.session.id == caller.session)
    }
}

extension Problem {
    static let sessionNotFound = Problem(
        status: .notFound, code: "session_not_found", detail: "no session of this id is alive")

    static let methodNotAllowed = Problem(
        status: .methodNotAllowed, code: "method_not_allowed", detail: "sessions are listed and ended here, not made")
}
