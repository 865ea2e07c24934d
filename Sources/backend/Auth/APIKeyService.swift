// API keys: made for a signed-in user with no more than he may do, shown once, and revoked.
import Foundation
import GRDB
import HTTPTypes
import Logging

/// A good API key and what it may do now.
struct APIKeyUse: Sendable {
    let key: APIKey
    /// Those of its permissions that its owner still has.
    let permissions: [String]
    /// Seconds since 1970: when it was made, or later when all tokens of its owner were ended since. A gateway that was
    /// told so keeps the key out no longer than until it asks again.
    let issued: Int64
}

struct APIKeyService: Sendable {
    let keys: APIKeyTable
    let users: UserTable
    let sessions: any SessionStore
    let audit: AuditLog

    /// Makes a key; its text is in the answer and nowhere else.
    func create(
        _ wanted: APIKeyRequest, for caller: Caller, logger: Logger
    ) async throws -> (key: APIKey, secret: APIKeySecret) {
        let granted = try await permissions(of: caller.principal.subject)
        let permissions = wanted.permissions ?? granted.sorted()
        if let excess = permissions.first(where: { !granted.contains($0) }) {
            throw Problem.missing(permission: excess)
        }
        let secret = APIKeySecret()
        let now = Date.now.milliseconds
        let key = APIKey(
            id: secret.id, user: caller.principal.subject, name: wanted.name, permissions: permissions,
            createdMilliseconds: now, expiresMilliseconds: wanted.expires?.milliseconds, lastUsedMilliseconds: nil)
        do {
            guard try await keys.insert(key, hash: secret.hash, nowMilliseconds: now) else {
                throw Problem.apiKeyLimit
            }
        } catch let error as DatabaseError {
            logger.error("an API key could not be stored", metadata: ["error": "\(error)"])
            throw Problem.apiKeyGenerationFailed
        }
        audit.record(.apiKeyMade, subject: key.user, ["key": key.id])
        return (key, secret)
    }

    func list(for caller: Caller) async throws -> [APIKey] {
        try await keys.keys(of: caller.principal.subject)
    }

    /// Revokes one of the caller's keys; those of others are as unknown.
    func revoke(_ id: String, for caller: Caller) async throws {
        let user = caller.principal.subject
        guard try await keys.revoke(id, of: user, nowMilliseconds: Date.now.milliseconds) else {
            throw Problem.apiKeyNotFound
        }
        // Whatever becomes of it, it is written down and tried again.
        try? await sessions.settle()
        audit.record(.apiKeyRevoked, subject: user, ["key": id])
    }

    /// The key that is presented, when it is good.
    func use(_ secret: APIKeySecret) async throws -> APIKeyUse? {
        guard let key = try await keys.use(secret.id, hash: secret.hash, nowMilliseconds: Date.now.milliseconds) else {
            return nil
        }
        let granted = try await permissions(of: key.user)
        let validFrom = try await sessions.validFrom(of: key.user) ?? 0
        return APIKeyUse(
            key: key, permissions: key.permissions.filter(granted.contains),
            issued: max(key.createdMilliseconds / 1000, validFrom))
    }

    private func permissions(of user: String) async throws -> Set<String> {
        Set(try await users.account(named: user)?.permissions ?? [])
    }
}

extension Problem {
    static let apiKeyLimit = Problem(
        status: .conflict, code: "api_key_limit",
        detail: "there are \(APIKeyTable.limitForUser) API keys already: revoke one first")
    static let apiKeyGenerationFailed = Problem(
        status: .serviceUnavailable, code: "api_key_generation_failed", detail: "the API key could not be stored",
        retryAfterSeconds: 1)
    static let apiKeyNotFound = Problem(
        status: .notFound, code: "api_key_not_found", detail: "you have no API key of this id")
}
