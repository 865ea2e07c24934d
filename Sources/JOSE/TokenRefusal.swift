// Why a token is not believed: the words of the answer, the log and the metric are made from these.

package enum TokenRefusal: UInt8, Error, Sendable, CaseIterable {
    // shape
    case tooLarge, malformed, encrypted, duplicateMember
    // header
    case algorithmNotAllowed, typeNotAllowed, criticalExtension, unsupportedHeader
    // key and signature
    case keyUnknown, keysUnavailable, algorithmKeyMismatch, signatureMissing, signatureInvalid
    // claims, told only to those whose signature is good
    case issuerMismatch, audienceMismatch, claimMissing, claimType, expired, notYetValid, lifetimeExceeded
    /// Of a token that is bound to what its sender did not show.
    case bindingMismatch
}
