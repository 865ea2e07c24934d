// What programs may know about the auth service before they use it (RFC 8414 §2).

struct ServerMetadata: Sendable, Encodable {
    let issuer: String
    let tokenEndpoint: String
    let introspectionEndpoint: String
    let revocationEndpoint: String
    let keySet: String
    /// Required, and never empty (§3.2). Nobody is sent here to be asked, so nothing is answered that way: "none" is the
    /// registered word for it.
    let responseTypes = ["none"]
    let grantTypes = ["refresh_token"]
    let tokenAuthentication = ServerMetadata.authentication
    let introspectionAuthentication = ServerMetadata.authentication
    let revocationAuthentication = ServerMetadata.authentication

    private static let authentication = ["client_secret_basic", "client_secret_post"]

    /// `issuer` is the `iss` of every token, letter by letter; the endpoints are at `origin`.
    init(issuer: String, origin: PublicOrigin) {
        self.issuer = issuer
        tokenEndpoint = "\(origin)/oauth/token"
        introspectionEndpoint = "\(origin)/oauth/introspect"
        revocationEndpoint = "\(origin)/oauth/revoke"
        keySet = "\(origin)/.well-known/jwks.json"
    }

    private enum CodingKeys: String, CodingKey {
        case issuer
        case tokenEndpoint = "token_endpoint"
        case introspectionEndpoint = "introspection_endpoint"
        case revocationEndpoint = "revocation_endpoint"
        case keySet = "jwks_uri"
        case responseTypes = "response_types_supported"
        case grantTypes = "grant_types_supported"
        case tokenAuthentication = "token_endpoint_auth_methods_supported"
        case introspectionAuthentication = "introspection_endpoint_auth_methods_supported"
        case revocationAuthentication = "revocation_endpoint_auth_methods_supported"
    }
}
