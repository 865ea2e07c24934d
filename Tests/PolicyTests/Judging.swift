// Authorizations of the tests, asked about requests.
import Bytes
import Configuration
import HTTP
import Policy
import Testing

/// What the rules of a location say, by default of a plain GET.
func judge(
    _ authorization: inout Authorization, _ location: Int, _ principals: PrincipalSet,
    _ authenticator: borrowing Authenticator, method: String = "GET", fields: [String] = [],
    address: String = "192.0.2.1"
) -> Authorization.Verdict {
    let head = plainRequest(method, fields)
    let captured = CapturedGroups()
    return authorization.evaluate(
        location: location, principals, authenticator, head, address: Array(address.utf8).span, captured)
}

/// The `scope` of the challenge.
func missing(
    _ authorization: inout Authorization, _ location: Int, demand: Int, _ principals: PrincipalSet,
    _ authenticator: borrowing Authenticator, method: String = "GET"
) -> String {
    let head = plainRequest(method, [])
    let captured = CapturedGroups()
    var out = ByteBuffer(capacity: 64)
    authorization.appendMissing(
        location: location, demand: demand, principals, authenticator, head, address: Array("192.0.2.1".utf8).span,
        captured, to: &out)
    let bytes = out.bytes
    return String(decoding: bytes.indices.map { bytes[$0] }, as: UTF8.self)
}

private func plainRequest(_ method: String, _ fields: [String]) -> RequestHead {
    var head = RequestHead()
    let text = "\(method) /api HTTP/1.1\r\nHost: Gateway.Example:80\r\n" + fields.map { $0 + "\r\n" }.joined() + "\r\n"
    guard case .complete = head.parse(Array(text.utf8).span, limits: HTTPLimits()) else {
        fatalError("not a request: \(text)")
    }
    return head
}

/// The locations of a configuration whose one provider is that of the tests, with the rules of each.
struct RuleFixture {
    let configuration: GatewayConfiguration
    /// By the name of a location: its number.
    let numbers: [String: Int]

    /// `text` is what stands in the server; `main` what stands before it.
    init(_ text: String, main: String = "", roles: RolesFile? = nil) throws {
        let whole = """
            auth_provider main jwt { issuer i; audience a; jwks http://127.0.0.1:1/; }
            \(main)
            server { listen 1; auth main; \(text) }
            """
        switch GatewayConfiguration.parse(text: whole, file: "gateway.conf", folder: "/") {
        case .loaded(var configuration, _):
            configuration.roles = roles
            // What the roles file makes necessary is collected when one is read.
            if roles != nil { configuration.keptClaims.roles = true }
            self.configuration = configuration
            numbers = Dictionary(uniqueKeysWithValues: configuration.locations.enumerated().map { ($1.name, $0) })
        case .invalid(let diagnostics): throw Wrong(text: diagnostics.map(\.rendered).joined(separator: "\n"))
        case .unreadable(let reason): throw Wrong(text: reason)
        }
    }
    struct Wrong: Error { var text: String }

    var authenticator: Authenticator { Authenticator([provider { $0.kept = configuration.keptClaims }], workers: 1) }
    var authorization: Authorization { Authorization(configuration) }
}
