// What a provider demands of a token beside its signature, in the form in which it is compared.
import JSON

package struct TokenRules: Sendable, Equatable {
    /// Bytes of the whole token.
    package var maximumBytes = 8 * 1024
    package var algorithms: [SignatureAlgorithm] {
        get { SignatureAlgorithm.allCases.filter(allows) }
        set { allowedAlgorithms = newValue.reduce(0) { $0 | 1 << UInt16($1.rawValue) } }
    }
    /// One bit for each.
    private var allowedAlgorithms: UInt16 = 0
    /// Accepted `typ` values, lower case, without `application/`.
    package var types: [[UInt8]] = []
    package var allowsMissingType = true
    /// Exactly this `iss`; nil: any, or none.
    package var issuer: [UInt8]?
    /// One of these in `aud`; empty: any, or none.
    package var audience: [[UInt8]] = []
    /// All of them, of which there are 64 at most.
    package var needsAllAudiences = false
    /// Claims that must be there; set by `require`.
    package private(set) var requiredClaims: [[UInt8]] = []
    /// The two that every provider requires unless told otherwise have fields of their own, so that others need no search.
    private(set) var requiresExpiry = false
    private(set) var requiresSubject = false
    /// At most 64: one bit each.
    private(set) var otherRequiredClaims: [[UInt8]] = []
    /// Seconds by which clocks may differ: a token is taken from `nbf - leeway` until `exp + leeway`.
    package var leeway: Int64 = 30
    /// Seconds from `iat`, or now without one, to `exp`; nil: any.
    package var maximumLifetime: Int64?

    package init() {}

    /// Says which claims must be there.
    package mutating func require(_ claims: [String]) {
        requiredClaims = claims.map { Array($0.utf8) }
        requiresExpiry = requires("exp")
        requiresSubject = requires("sub")
        otherRequiredClaims = Array(claims.filter { $0 != "exp" && $0 != "sub" }.map { Array($0.utf8) }.prefix(64))
    }

    func allows(_ algorithm: SignatureAlgorithm) -> Bool {
        allowedAlgorithms & 1 << UInt16(algorithm.rawValue) != 0
    }

    /// Whether the string is the issuer that is asked for.
    func isIssuer(_ value: JSONEvent, in payload: borrowing Span<UInt8>) -> Bool {
        guard let issuer else { return false }
        return value.equals(issuer.span, in: payload)
    }

    /// A bit that says which of the audiences the string is; none when it is another one.
    func audienceBit(_ value: JSONEvent, in payload: borrowing Span<UInt8>) -> UInt64 {
        var bit: UInt64 = 1
        for accepted in audience {
            if value.equals(accepted.span, in: payload) { return bit }
            // Only where one of them is enough there may be more than bits.
            if bit < 1 << 63 { bit <<= 1 }
        }
        return 0
    }
    /// Whether those that were found are enough.
    func accepts(audiences found: UInt64) -> Bool {
        if audience.isEmpty { return true }
        return needsAllAudiences ? found == .max >> UInt64(64 - min(audience.count, 64)) : found != 0
    }

    package func requires(_ claim: String) -> Bool { requiredClaims.contains(Array(claim.utf8)) }
}
