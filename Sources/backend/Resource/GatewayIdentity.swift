// The gateway's own word on who asks: a signed token in X-Gateway-Identity, which nobody else can make.
import Foundation
import HTTPTypes

struct GatewayIdentity: Sendable {
    private static let type = "gateway-identity+jwt"

    private let verifier: TokenVerifier

    init(keys: any VerificationKeys, issuer: String, audience: String) {
        verifier = TokenVerifier(keys: keys, issuer: issuer, audience: audience, type: Self.type)
    }

    /// Whom the gateway has authenticated. Without its token the request did not come through it, whatever other
    /// fields say: a `Problem` then.
    func principal(of fields: HTTPFields) throws -> Principal {
        let values = fields[values: .gatewayIdentity]
        guard let token = values.first else { throw Problem.gatewayIdentityMissing }
        guard values.count == 1 else { throw Problem.gatewayIdentityMismatched }
        do throws(TokenRefusal) {
            return try verifier.verify(token, now: .now)
        } catch {
            throw Problem.gatewayIdentityInvalid(error)
        }
    }
}

extension HTTPField.Name {
    static let gatewayIdentity = Self("X-Gateway-Identity")!
}

/// 403 and not 401: another access token would not help, and a client that is told 401 throws its own away.
extension Problem {
    static let gatewayIdentityMissing = Problem(
        status: .forbidden, code: "gateway_identity_missing", detail: "requests must come through the gateway")
    /// Two tokens, or one about somebody else than the access token.
    static let gatewayIdentityMismatched = Problem(
        status: .forbidden, code: "gateway_identity_invalid",
        detail: "the gateway's identity token does not belong to this request")

    static func gatewayIdentityInvalid(_ refusal: TokenRefusal) -> Problem {
        Problem(
            status: .forbidden, code: "gateway_identity_invalid",
            detail: "the gateway's identity token is not valid here: \(refusal.rawValue)")
    }
}
