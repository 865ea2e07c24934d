// Which answer each refusal of a token becomes.
package import JOSE

extension LocalResponse {
    package init(_ refusal: TokenRefusal) {
        self =
            switch refusal {
            case .tooLarge: .tokenTooLarge
            case .malformed: .tokenMalformed
            case .encrypted: .tokenEncryptedUnsupported
            case .duplicateMember: .duplicateClaim
            case .algorithmNotAllowed: .algNotAllowed
            case .typeNotAllowed: .typNotAllowed
            case .criticalExtension: .unsupportedCrit
            case .unsupportedHeader: .unsupportedHeader
            case .keyUnknown: .keyUnknown
            case .keysUnavailable: .keysUnavailable
            case .algorithmKeyMismatch: .algKeyMismatch
            case .signatureMissing: .signatureMissing
            case .signatureInvalid: .signatureInvalid
            case .issuerMismatch: .issuerMismatch
            case .audienceMismatch: .audienceMismatch
            case .claimMissing: .claimMissing
            case .claimType: .claimType
            case .expired: .tokenExpired
            case .notYetValid: .tokenNotYetValid
            case .lifetimeExceeded: .lifetimeExceeded
            case .bindingMismatch: .bindingMismatch
            }
    }
}
