// What a provider demands of a token beside its signature, in the form in which it is compared.

package struct TokenRules: Sendable, Equatable {
    /// Bytes of the whole token.
    package var maximumBytes = 8 * 1024
    package var algorithms: [SignatureAlgorithm] = []
    /// Accepted `typ` values, lower case, without `application/`.
    package var types: [[UInt8]] = []
    package var allowsMissingType = true
    /// Exactly this `iss`; nil: any, or none.
    package var issuer: [UInt8]?
    /// One of these in `aud`; empty: any, or none.
    package var audience: [[UInt8]] = []
    /// Claims that must be there; at most 64 count.
    package var requiredClaims: [[UInt8]] = []
    /// Seconds by which clocks may differ: a token is taken from `nbf - leeway` until `exp + leeway`.
    package var leeway: Int64 = 30
    /// Seconds from `iat`, or now without one, to `exp`; nil: any.
    package var maximumLifetime: Int64?

    package init() {}

    package func requires(_ claim: String) -> Bool { requiredClaims.contains(Array(claim.utf8)) }
}
