// The routes that list and revoke the API keys of others.
import Foundation
import HTTPTypes
import Hummingbird

struct APIKeyRoutes: Sendable {
    let access: AdminAccess
    let keys: APIKeyTable
    let store: any SessionStore

    func add(to router: some RouterMethods<AuthCall>) {
        router.get("/api-keys") { request, _ in
            _ = try await access.reader(of: request)
            let found = try await keys.keys(of: QueryParameters(request, known: ["user"])["user"])
            return try Response.json(APIKeyListAnswer(keys: found.map { APIKeyAnswer(key: $0, owner: $0.user) }))
        }
        router.delete("/api-keys/:id") { request, call in
            let caller = try await access.writer(of: request)
            let id = try call.segment("id")
            guard let owner = try await keys.owner(of: id),
                try await keys.revoke(id, of: owner, nowMilliseconds: Date.now.milliseconds)
            else { throw Problem.unknownAPIKey }
            // Whatever becomes of it, it is written down and tried again.
            try? await store.settle()
            access.record(.apiKeyRevoked, by: caller, subject: owner, request, call, ["key": id])
            return Response(status: .noContent)
        }
    }
}

extension Problem {
    fileprivate static let unknownAPIKey = Problem(
        status: .notFound, code: "api_key_not_found", detail: "there is no API key of this id")
}
