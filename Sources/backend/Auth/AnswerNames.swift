// How the members of requests and answers are spelled: as RFC 6749 does or, for older clients that ask, as they do.
import Hummingbird

enum AnswerNames: Sendable {
    /// `access_token`, `refresh_token`
    case standard
    /// `token`, `refreshToken`
    case camel

    /// What `?names=` asks for.
    init(of request: Request) throws(Problem) {
        switch request.uri.queryParameters.getAll("names") {
        case []: self = .standard
        case ["camel"]: self = .camel
        default: throw .unknownNames
        }
    }
}

extension Problem {
    fileprivate static let unknownNames = Problem(
        status: .badRequest, code: "invalid_request", detail: "names may be camel, once", member: "names")
}
