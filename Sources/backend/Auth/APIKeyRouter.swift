// The routes with which a signed-in user makes, lists and revokes his API keys.
import Foundation
import HTTPTypes
import Hummingbird

/// One key as it is answered.
struct APIKeyAnswer: Encodable {
    let key: APIKey
    /// There only in the answer that made it.
    var secret: APIKeySecret?
    /// Said to others than the owner.
    var owner: String?

    private enum CodingKeys: String, CodingKey {
        case id, user, name, permissions
        case apiKey = "api_key"
        case createdAt = "created_at"
        case expiresAt = "expires_at"
        case lastUsedAt = "last_used_at"
    }

    func encode(to encoder: any Encoder) throws {
        var members = encoder.container(keyedBy: CodingKeys.self)
        try members.encode(key.id, forKey: .id)
        try members.encodeIfPresent(owner, forKey: .user)
        try members.encode(key.name, forKey: .name)
        try members.encode(key.permissions, forKey: .permissions)
        try members.encodeIfPresent(secret?.text, forKey: .apiKey)
        try members.encode(Date.text(milliseconds: key.createdMilliseconds), forKey: .createdAt)
        try members.encode(key.expiresMilliseconds.map(Date.text), forKey: .expiresAt)
        try members.encode(key.lastUsedMilliseconds.map(Date.text), forKey: .lastUsedAt)
    }
}

struct APIKeyListAnswer: Encodable {
    let keys: [APIKeyAnswer]

    private enum CodingKeys: String, CodingKey { case keys = "api_keys" }
}

struct APIKeyRouter: Sendable {
    let service: APIKeyService
    let callers: CallerVerifier

    func add(to router: some RouterMethods<AuthCall>) {
        router.post("/api/v1/auth/api-key") { request, context in
            let caller = try await callers.caller(of: request)
            let wanted = try APIKeyRequest(try await request.jsonBody(), now: .now)
            let made = try await service.create(wanted, for: caller, logger: context.logger)
            return try Response.json(APIKeyAnswer(key: made.key, secret: made.secret), status: .created)
        }
        router.get("/api/v1/auth/api-key") { request, _ in
            let caller = try await callers.caller(of: request)
            let keys = try await service.list(for: caller)
            return try Response.json(APIKeyListAnswer(keys: keys.map { APIKeyAnswer(key: $0) }))
        }
        router.delete("/api/v1/auth/api-key/:id") { request, context in
            let caller = try await callers.caller(of: request)
            try await service.revoke(context.parameters.require("id"), for: caller)
            return Response(status: .noContent)
        }
    }
}
