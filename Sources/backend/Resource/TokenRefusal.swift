// Why the resource service refuses a token; the codes are those of the gateway, so that a client needs to know one set.
import HTTPTypes

enum TokenRefusal: String, Error {
    case tooLarge = "token_too_large"
    case malformed = "token_malformed"
    case wrongAlgorithm = "alg_not_allowed"
    case criticalHeader = "unsupported_crit"
    case unknownKey = "key_unknown"
    case wrongType = "typ_not_allowed"
    case badSignature = "signature_invalid"
    case wrongIssuer = "issuer_mismatch"
    case wrongAudience = "audience_mismatch"
    case missingClaim = "claim_missing"
    case mistypedClaim = "claim_type"
    case expired = "token_expired"
    case notYetValid = "token_not_yet_valid"
    case revoked = "token_revoked"
    /// Nothing is wrong with the token, as far as anybody can tell: there is no key to look at it with.
    case keysUnavailable = "keys_unavailable"

    /// 401 with the challenge of RFC 6750 §3.1; a client that is told 401 throws its token away.
    var problem: Problem {
        guard self != .keysUnavailable else {
            return Problem(
                status: .serviceUnavailable, code: rawValue, detail: "there is no key to verify a token with",
                retryAfterSeconds: 5)
        }
        let detail = self == .expired ? "The access token expired" : "The access token is not valid here"
        return Problem(
            status: .unauthorized, code: rawValue, detail: detail,
            challenge: "Bearer realm=\"api\", error=\"invalid_token\", error_description=\"\(detail)\"")
    }
}

extension Problem {
    /// 401 without an error code: nobody has tried to say who he is (RFC 6750 §3.1).
    static let missingToken = Problem(
        status: .unauthorized, code: "token_missing", detail: "an access token is needed",
        challenge: "Bearer realm=\"api\"")

    /// Two credentials in one request, or a field that is not `Bearer TOKEN` (RFC 6750 §3.1).
    static let ambiguousToken = Problem(
        status: .badRequest, code: "invalid_request", detail: "the Authorization field must be one `Bearer TOKEN`",
        challenge: "Bearer realm=\"api\", error=\"invalid_request\"")

    /// 403: the token is good and does not reach this far.
    static func missing(permission: String) -> Problem {
        Problem(
            status: .forbidden, code: "insufficient_scope", detail: "the permission \(permission) is needed",
            challenge: "Bearer realm=\"api\", error=\"insufficient_scope\", scope=\"\(permission)\"")
    }
}
