// How a program shows who it is: HTTP Basic or its secret in the body (RFC 6749 §2.3.1), one of them.
import Foundation
import HTTPTypes
import Hummingbird

struct ClientAuthentication: Sendable {
    let clients: ClientTable
    let audit: AuditLog

    /// The client of a request, which must have the right; throws a `Problem`.
    func client(of request: Request, form: FormBody? = nil, right: ClientRight) async throws -> Client {
        do {
            return try await authenticated(request, form, right)
        } catch let problem as Problem {
            // Not who it claims to be: that may be a secret in the wrong place.
            audit.record(.clientRefused, ["code": problem.code])
            throw problem
        }
    }

    private func authenticated(_ request: Request, _ form: FormBody?, _ right: ClientRight) async throws -> Client {
        let pair = try Self.credentials(request.headers, form)
        guard let client = try await clients.client(id: pair.id, secret: pair.secret) else {
            throw Problem.invalidClient
        }
        guard client.rights.contains(right) else { throw Problem.unauthorizedClient }
        return client
    }

    private static func credentials(
        _ fields: HTTPFields, _ form: FormBody?
    ) throws(Problem) -> (id: String, secret: String) {
        let values = fields[values: .authorization]
        guard let value = values.first else {
            guard let id = form?["client_id"], let secret = form?["client_secret"] else { throw .invalidClient }
            return (id, secret)
        }
        guard let pair = basic(value), values.count == 1 else { throw .invalidClient }
        // RFC 6749 §2.3: not more than one way in each request.
        guard form?["client_secret"] == nil, form?["client_id"] == nil || form?["client_id"] == pair.id else {
            throw .oauth("invalid_request", "the client shows who it is in two ways")
        }
        return pair
    }

    /// Both halves are encoded as in a form before Basic joins them.
    private static func basic(_ value: String) -> (id: String, secret: String)? {
        let words = value.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
        guard words.count == 2, words[0].lowercased() == "basic", let bytes = Data(base64Encoded: String(words[1]))
        else { return nil }
        let halves = bytes.split(separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
        guard halves.count == 2, let id = FormBody.decode(halves[0]), let secret = FormBody.decode(halves[1]) else {
            return nil
        }
        return (id, secret)
    }
}
