// Turns whatever a route throws into problem details, and logs each request once: outermost middleware.
import Foundation
import GRDB
import HTTPTypes
import Hummingbird
import Logging

struct ProblemMiddleware<Call: RequestContext>: RouterMiddleware {
    func handle(
        _ request: Request, context: Call, next: (Request, Call) async throws -> Response
    ) async throws -> Response {
        let start = ContinuousClock.now
        var response: Response
        var code: String?
        do {
            response = try await next(request, context)
        } catch {
            let problem = problem(for: error, logger: context.logger)
            code = problem.code
            response = try problem.response(from: request, context: context)
        }
        // Tokens, names and decisions: nobody on the way may keep them. Routes that may be cached say so.
        if response.headers[.cacheControl] == nil { response.headers[.cacheControl] = "no-store" }
        log(request, response, code: code, since: start, context)
        return response
    }

    private func problem(for error: any Error, logger: Logger) -> Problem {
        switch error {
        case let problem as Problem: return problem
        case let fault as JSONFault: return .badRequest(fault)
        case let error as any HTTPResponseError where error.status == .notFound: return .notFound
        case let error as any HTTPResponseError where error.status == .contentTooLarge: return .tooLarge
        case let error as DatabaseError:
            // The description has the statement with its question marks, never the values.
            logger.error("the database failed", metadata: ["error": "\(error)"])
            return .storageUnavailable
        case let failure as RedisFailure:
            // That it cannot be reached is said once, by the client.
            if case .unreachable = failure { return .storageUnavailable }
            logger.error("Redis failed", metadata: ["error": "\(failure)"])
            return .storageUnavailable
        default:
            logger.error("a request failed", metadata: ["error": "\(type(of: error))"])
            return .internalError
        }
    }

    private func log(
        _ request: Request, _ response: Response, code: String?, since start: ContinuousClock.Instant,
        _ context: Call
    ) {
        var metadata: Logger.Metadata = [
            "method": "\(request.method.rawValue)", "route": "\(context.endpointPath ?? "none")",
            "status": "\(response.status.code)", "microseconds": "\((ContinuousClock.now - start) / .microseconds(1))",
        ]
        metadata["code"] = code.map { "\($0)" }
        metadata["request_id"] = RequestIdentifier.given(in: request.headers).map { "\($0)" }
        // Health is asked every second: it would drown what people look for.
        let quiet = request.uri.path == "/healthz" || request.uri.path == "/readyz"
        context.logger.log(level: quiet ? .debug : .info, "request", metadata: metadata)
    }
}

/// The X-Request-ID that the gateway gave, so that its log and ours can be laid side by side.
enum RequestIdentifier {
    private static let name = HTTPField.Name("X-Request-ID")

    static func given(in fields: HTTPFields) -> String? {
        guard let name, let text = fields[name], (1...128).contains(text.utf8.count),
            text.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "\"") })
        else { return nil }
        return text
    }
}
