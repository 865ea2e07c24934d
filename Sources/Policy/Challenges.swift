// The challenges of each location: which schemes its credentials have, and under which realm (RFC 9110 section 11, RFC 6750
// section 3).
import Bytes
package import Configuration

package enum ChallengeScheme: UInt8, BitwiseCopyable, Sendable {
    case bearer, apiKey

    var word: StaticString {
        switch self {
        case .bearer: "Bearer"
        case .apiKey: "ApiKey"
        }
    }
}

/// Those of all locations of one configuration, compiled into storage of their own: a refusal allocates nothing.
package struct Challenges: ~Copyable {
    struct Row: BitwiseCopyable {
        var scheme = ChallengeScheme.bearer
        /// Of the text.
        var start: Int32 = 0
        var end: Int32 = 0
    }
    private var realms = ByteBuffer(capacity: 64)
    private var rows: FixedArray<Row>
    /// Of each location, where its rows begin; one more says where the last ones end.
    private var firsts: FixedArray<Int32>

    /// In the order of the configuration's locations.
    package init(_ locations: [[(scheme: ChallengeScheme, realm: String)]]) {
        rows = FixedArray(repeating: Row(), count: locations.reduce(0) { $0 + $1.count })
        firsts = FixedArray(repeating: 0, count: locations.count + 1)
        var count = 0
        for (i, schemes) in locations.enumerated() {
            for (scheme, realm) in schemes {
                let start = realms.count
                for byte in realm.utf8 { realms.append(byte: Self.quotable(byte)) }
                rows[count] = Row(scheme: scheme, start: Int32(start), end: Int32(realms.count))
                count += 1
            }
            firsts[i + 1] = Int32(count)
        }
    }

    /// One for each scheme that the location's providers take; the first of them gives the realm.
    package init(_ configuration: GatewayConfiguration) {
        self.init(
            configuration.locations.map { location in
                var found: [(scheme: ChallengeScheme, realm: String)] = []
                for provider in location.access.providers.map({ configuration.providers[$0] }) {
                    let scheme = ChallengeScheme(provider.kind)
                    if !found.contains(where: { $0.scheme == scheme }) { found.append((scheme, provider.name)) }
                }
                return found
            })
    }

    /// Appends the fields that `answer` has at that location.
    borrowing func append(
        _ answer: LocalResponse.Answer, _ detail: ErrorDetail, location: Int, scope: Span<UInt8>,
        to head: inout ByteBuffer
    ) {
        guard answer.challenge != .none else { return }
        let first = Int(firsts[location]), last = Int(firsts[location + 1])
        // Where nobody is asked who he is, credentials that nobody can read are still refused, in no one's realm.
        if first == last { return Self.appendBearer(answer, detail, realm: Span(), scope: scope, to: &head) }
        for i in first..<last {
            let realm = realms.bytes.extracting(Int(rows[i].start)..<Int(rows[i].end))
            switch rows[i].scheme {
            case .bearer: Self.appendBearer(answer, detail, realm: realm, scope: scope, to: &head)
            case .apiKey where answer.status == 401:
                Self.begin(.apiKey, realm, &head)
                head.append("\r\n")
            case .apiKey: break
            }
        }
    }

    private static func begin(_ scheme: ChallengeScheme, _ realm: Span<UInt8>, _ head: inout ByteBuffer) {
        head.append("WWW-Authenticate: ")
        head.append(scheme.word)
        if realm.isEmpty { return }
        head.append(" realm=\"")
        head.append(realm)
        head.append("\"")
    }

    /// RFC 6750 section 3: without credentials the realm alone, else the error and why.
    private static func appendBearer(
        _ answer: LocalResponse.Answer, _ detail: ErrorDetail, realm: Span<UInt8>, scope: Span<UInt8>,
        to head: inout ByteBuffer
    ) {
        begin(.bearer, realm, &head)
        let error: StaticString =
            switch answer.challenge {
            case .none, .bare: ""
            case .invalidToken: "error=\"invalid_token\""
            case .invalidRequest: "error=\"invalid_request\""
            case .insufficientScope: "error=\"insufficient_scope\""
            }
        if error.utf8CodeUnitCount > 0 {
            head.append(realm.isEmpty ? " " : ", ")
            head.append(error)
            if detail != .none {
                head.append(", error_description=\"")
                head.append(answer.detail)
                head.append("\"")
            }
        }
        if answer.challenge == .insufficientScope && !scope.isEmpty {
            head.append(", scope=\"")
            for i in 0..<scope.count { head.append(byte: quotable(scope[i])) }
            head.append("\"")
        }
        head.append("\r\n")
    }

    /// What RFC 6750 section 3 allows in a scope, which is what needs no escape in a quoted string; else `_`.
    private static func quotable(_ byte: UInt8) -> UInt8 {
        switch byte {
        case 0x20, 0x21, 0x23...0x5b, 0x5d...0x7e: byte
        default: UInt8(ascii: "_")
        }
    }
}

extension ChallengeScheme {
    fileprivate init(_ kind: ProviderKind) {
        switch kind {
        case .apiKey: self = .apiKey
        case .jwt, .introspection, .request, .clientCertificate: self = .bearer
        }
    }
}
