// The routes with which a signed-in user makes, lists and revokes his API keys.
import Foundation
import HTTPTypes
import Hummingbird

struct APIKeyRouter: Sendable {
    /// One key; `api_key` is there only in the answer that made it.
    private struct Answer: Encodable {
        let key: APIKey
        var secret: APIKeySecret?

        private enum CodingKeys: String, CodingKey {
            case id, name, permissions
            case apiKey = "api_key"
            case createdAt = "created_at"
            case expiresAt = "expires_at"
            case lastUsedAt = "last_used_at"
        }

        func encode(to encoder: any Encoder) throws {
            var members = encoder.container(keyedBy: CodingKeys.self)
            try members.encode(key.id, forKey: .id)
            try members.encode(key.name, forKey: .name)
            try members.encode(key.permissions, forKey: .permissions)
            try members.encodeIfPresent(secret?.text, forKey: .apiKey)
            try members.encode(Self.time(key.createdMilliseconds), forKey: .createdAt)
            try members.encode(key.expiresMilliseconds.map(Self.time), forKey: .expiresAt)
            try members.encode(key.lastUsedMilliseconds.map(Self.time), forKey: .lastUsedAt)
        }

        private static func time(_ milliseconds: Int64) -> String {
            Date(timeIntervalSince1970: Double(milliseconds / 1000)).formatted(.iso8601)
        }
    }

    private struct ListAnswer: Encodable {
        let keys: [Answer]

        private enum CodingKeys: String, CodingKey { case keys = "api_keys" }
    }

    let service: APIKeyService
    let callers: CallerVerifier

    func add(to router: some RouterMethods<AuthCall>) {
        router.post("/api/v1/auth/api-key") { request, context in
            let caller = try await callers.caller(of: request)
            let wanted = try APIKeyRequest(try await request.jsonBody(), now: .now)
            let made = try await service.create(wanted, for: caller, logger: context.logger)
            return try Response.json(Answer(key: made.key, secret: made.secret), status: .created)
        }
        router.get("/api/v1/auth/api-key") { request, _ in
            let caller = try await callers.caller(of: request)
            return try Response.json(ListAnswer(keys: try await service.list(for: caller).map { Answer(key: $0) }))
        }
        router.delete("/api/v1/auth/api-key/:id") { request, context in
            let caller = try await callers.caller(of: request)
            try await service.revoke(context.parameters.require("id"), for: caller, logger: context.logger)
            return Response(status: .noContent)
        }
    }
}
