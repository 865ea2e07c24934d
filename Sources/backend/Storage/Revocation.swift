// One thing that is dead before it expires, as the gateways' feed has it.

struct Revocation: Sendable, Codable, Equatable {
    /// What the value names.
    enum Kind: String, Sendable, Codable {
        case tokenID = "jti"
        case session = "sid"
        case subject = "sub"
        case client
        case key = "kid"
        case apiKey = "api_key"
    }

    /// The `iss` of the tokens that are concerned.
    let issuer: String
    let kind: Kind
    let value: String
    /// Seconds since 1970 until which the entry is needed: what it concerns has expired by then.
    let until: Int64
    /// Seconds since 1970: only what was issued before them is dead.
    var before: Int64?
}
