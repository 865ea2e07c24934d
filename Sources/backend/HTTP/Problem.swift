// Every error answer: RFC 9457 problem details with a stable machine code.
import Foundation
import HTTPTypes
import Hummingbird

struct Problem: HTTPResponseError, Encodable {
    let status: HTTPResponse.Status
    /// What programs read; it never changes.
    let code: String
    /// What people read.
    let detail: String
    /// The member of the body that the problem is about.
    var member: String?
    /// The WWW-Authenticate field; RFC 9110 §15.5.2 wants one in every 401.
    var challenge: String?
    var retryAfterSeconds: Int?
    /// The Set-Cookie field.
    var setCookie: String?
    /// The `error` of RFC 6749 §5.2, whose form the answer then has.
    var oauthError: String?

    private enum CodingKeys: String, CodingKey {
        case type, title, status, code, detail, member, error
        case errorDescription = "error_description"
    }

    func encode(to encoder: any Encoder) throws {
        var members = encoder.container(keyedBy: CodingKeys.self)
        if let oauthError {
            try members.encode(oauthError, forKey: .error)
            try members.encode(detail, forKey: .errorDescription)
            try members.encode(code, forKey: .code)
            return
        }
        try members.encode("about:blank", forKey: .type)
        try members.encode(status.reasonPhrase, forKey: .title)
        try members.encode(status.code, forKey: .status)
        try members.encode(code, forKey: .code)
        try members.encode(detail, forKey: .detail)
        try members.encodeIfPresent(member, forKey: .member)
    }

    func response(from request: Request, context: some RequestContext) throws -> Response {
        var fields: HTTPFields = [.contentType: oauthError == nil ? "application/problem+json" : "application/json"]
        if let challenge { fields[.wwwAuthenticate] = challenge }
        if let retryAfterSeconds { fields[.retryAfter] = String(retryAfterSeconds) }
        if let setCookie { fields[.setCookie] = setCookie }
        return try Response.json(self, status: status, fields: fields)
    }
}

extension Problem {
    static func badRequest(_ fault: JSONFault) -> Problem {
        Problem(
            status: .badRequest, code: "invalid_request",
            detail: "line \(fault.position.line), column \(fault.position.column): \(fault.message)",
            member: fault.member)
    }

    static let wrongMediaType = Problem(
        status: .unsupportedMediaType, code: "unsupported_media_type",
        detail: "the body must be sent as Content-Type: application/json")
    static let tooLarge = Problem(
        status: .contentTooLarge, code: "body_too_large", detail: "the body is larger than this endpoint takes")
    static let notFound = Problem(status: .notFound, code: "not_found", detail: "there is nothing here")
    static let internalError = Problem(
        status: .internalServerError, code: "internal_error", detail: "the answer could not be made")
    static let overloaded = Problem(
        status: .serviceUnavailable, code: "overloaded", detail: "too many logins at once", retryAfterSeconds: 1)
    static let signingUnavailable = Problem(
        status: .serviceUnavailable, code: "signing_unavailable", detail: "there is no key to sign a token with",
        retryAfterSeconds: 5)
    static let storageUnavailable = Problem(
        status: .serviceUnavailable, code: "storage_unavailable", detail: "the database does not answer",
        retryAfterSeconds: 1)

    static let invalidCredentials = Problem(
        status: .unauthorized, code: "invalid_credentials", detail: "the user name or the password is wrong",
        challenge: "Bearer")
    static let refreshInvalid = refusedRefresh("refresh_invalid", "this is not a refresh token of ours")
    static let refreshExpired = refusedRefresh("refresh_expired", "the session has expired")
    static let refreshRevoked = refusedRefresh("refresh_revoked", "the session has been ended")
    static let refreshReused = refusedRefresh(
        "refresh_reused", "the refresh token had been used before, so its session has been ended")

    private static func refusedRefresh(_ code: String, _ detail: String) -> Problem {
        Problem(status: .unauthorized, code: code, detail: detail, challenge: "Bearer")
    }
}
