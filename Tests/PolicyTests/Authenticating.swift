// An authenticator with providers of the tests, asked with whole requests.
import Bytes
import Configuration
import HTTP
import JOSE
import Policy
import Testing
import TokenSigning

/// Wall-clock seconds around which the tokens of these tests are made.
let tokenTime: Int64 = 1_795_000_000

func provider(
    _ name: String = "main", issuer: String? = "https://issuer.example", keys: [TokenSigner] = [.rsa],
    _ change: (inout AuthProvider) -> Void = { _ in }
) -> AuthProvider {
    var provider = AuthProvider(name: name, position: SourcePosition(file: "test.conf", line: 1, column: 1))
    provider.issuer = issuer
    provider.audience = ["api"]
    provider.localKeys = JSONWebKeySet(keys: keys.flatMap(\.keySet.keys))
    change(&provider)
    return provider
}

/// A provider whose keys are fetched.
func fetch(_ provider: inout AuthProvider) {
    provider.keySources = (try? WebAddress("http://127.0.0.1:1/jwks")).map { [KeySource(.keys, $0)] } ?? []
}

func claims(_ changes: [String: String?] = [:]) -> String {
    var members: [(String, String)] = [
        ("iss", "\"https://issuer.example\""), ("aud", "\"api\""), ("sub", "\"alice\""), ("exp", "\(tokenTime + 600)"),
        ("iat", "\(tokenTime - 10)"), ("permissions", "[\"read:data\",\"write:data\"]"),
    ]
    for (name, value) in changes {
        members.removeAll { $0.0 == name }
        if let value { members.append((name, value)) }
    }
    return "{" + members.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ",") + "}"
}

/// The answer to a request with those Authorization values; nil when it is let in. The principal is released.
func answer(
    _ authenticator: inout Authenticator, authorization values: [String], provider: Int = 0, at time: Int64 = tokenTime
) -> LocalResponse? {
    switch verdict(&authenticator, authorization: values, provider: provider, at: time) {
    case .authenticated(let principal):
        authenticator.release(principal)
        return nil
    case .refused(let response): return response
    case .authenticatedByAll, .later, .awaitKeys, .lookup, .nameCertificate:
        Issue.record("neither let in nor refused")
        return .internalError
    }
}

func answer(
    _ authenticator: inout Authenticator, _ token: String, provider: Int = 0, at time: Int64 = tokenTime
) -> LocalResponse? {
    answer(&authenticator, authorization: ["Bearer " + token], provider: provider, at: time)
}

func verdict(
    _ authenticator: inout Authenticator, authorization values: [String], provider: Int = 0, at time: Int64 = tokenTime
) -> AuthenticationVerdict {
    var text = "GET /api HTTP/1.1\r\nHost: gateway.example\r\n"
    for value in values { text += "Authorization:\(value)\r\n" }
    text += "\r\n"
    let bytes = Array(text.utf8)
    var head = RequestHead()
    guard case .complete = head.parse(bytes.span, limits: HTTPLimits()) else { fatalError("not a request: \(text)") }
    var access = Access()
    access.providers = [provider]
    return verdict(&authenticator, head, access, at: time)
}

/// A new turn of the loop, in which the request is judged after its wait for keys.
func verdict(
    _ authenticator: inout Authenticator, _ head: borrowing RequestHead, _ access: Access, at time: Int64 = tokenTime,
    isFinal: Bool = true, beginsTurn: Bool = true
) -> AuthenticationVerdict {
    if beginsTurn { authenticator.beginVerifying() }
    let plans = authenticator.plans([access])
    return authenticator.evaluate(
        head, plans[0], now: time, time: Instant(nanoseconds: 1_000_000_000), isFinal: isFinal)
}

/// A request with that bearer token.
func request(_ token: String) -> RequestHead {
    var head = RequestHead()
    let bytes = Array("GET /api HTTP/1.1\r\nHost: gateway.example\r\nAuthorization: Bearer \(token)\r\n\r\n".utf8)
    guard case .complete = head.parse(bytes.span, limits: HTTPLimits()) else { fatalError("not a request") }
    return head
}

/// A principal that the test has to release.
func principal(
    _ authenticator: inout Authenticator, _ token: String, provider: Int = 0, at time: Int64 = tokenTime
) throws -> Principal {
    switch verdict(&authenticator, authorization: ["Bearer " + token], provider: provider, at: time) {
    case .authenticated(let principal): return principal
    case .refused(let response): throw Refused(response: response)
    case .authenticatedByAll, .later, .awaitKeys, .lookup, .nameCertificate: throw Refused(response: .internalError)
    }
}

struct Refused: Error { var response: LocalResponse }

/// What is written about a principal: subject, permissions, provider.
func written(_ authenticator: borrowing Authenticator, _ principal: Principal) -> [String] {
    var subject = ByteBuffer(capacity: 64), permissions = ByteBuffer(capacity: 64), name = ByteBuffer(capacity: 64)
    authenticator.writeSubject(principal, to: &subject)
    authenticator.writePermissions(principal, to: &permissions)
    authenticator.writeProvider(principal, to: &name)
    return [text(subject), text(permissions), text(name)]
}

private func text(_ buffer: borrowing ByteBuffer) -> String {
    let bytes = buffer.bytes
    return String(decoding: bytes.indices.map { bytes[$0] }, as: UTF8.self)
}
