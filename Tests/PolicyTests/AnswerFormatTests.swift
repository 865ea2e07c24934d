// Which form a refusal takes (RFC 9110 section 12.5.1), and what it says in each.
import Bytes
import Configuration
import Foundation
import HTTP
import JOSE
import Policy
import Testing

struct AnswerFormatTests {
    private static func format(_ lines: String..., method: String = "GET") -> AnswerFormat {
        let bytes = Array(([method + " / HTTP/1.1", "Host: a"] + lines + ["", ""]).joined(separator: "\r\n").utf8)
        var head = RequestHead()
        #expect(head.parse(bytes.span, limits: HTTPLimits()) == .complete(bytes.count))
        return AnswerFormat(for: head)
    }

    @Test(arguments: [
        ("*/*", AnswerFormat.problem), ("", .problem), ("application/json", .problem),
        ("application/problem+json", .problem), ("application/*", .problem), ("image/png", .problem),
        ("text/html", .page), ("TEXT/HTML", .page), ("text/plain", .text), ("text/*", .page),
        // browsers, axios, curl, fetch()
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", .page),
        ("application/json, text/plain, */*", .problem),
        // weights
        ("text/html;q=0.5, application/json;q=0.4", .page), ("text/html;q=0.4, application/json;q=0.5", .problem),
        ("text/html;q=0.5, text/plain;q=0.501", .text), ("text/html;q=0, text/plain;q=0.001", .text),
        ("text/html;q=1.000, */*;q=0.999", .page), ("text/html, application/json", .problem),
        ("text/html;q=0.7,text/html;q=0.9,application/json;q=0.8", .page), ("text/html;q=0", .problem),
        ("*/*;q=0", .problem), ("text/plain ; q=0.2 , text/html ; q=0.1", .text),
        // the more specific range wins, whatever its weight
        ("*/*, application/json;q=0.1", .page), ("*/*;q=0.1, text/plain", .text),
        ("text/*, text/html;q=0.1, */*;q=0.5", .text), ("application/*;q=0.2, */*", .page),
        ("application/json;q=0, text/plain;q=0.1", .text),
        ("application/problem+json;q=0.1, application/json, text/html;q=0.5", .page),
        // parameters
        ("text/html;charset=utf-8", .page), ("text/html;level=1", .problem), ("text/html;level=\"a,b;c\"", .problem),
        ("text/html;level=\"\\\",text/plain,\"", .problem), ("text/html;q=0.5;ext=1", .page),
        // what is no weight takes its range along
        ("text/html;q=2", .problem), ("text/html;q=0.5555", .problem), ("text/html;q=", .problem),
        ("text/html;q=x, text/plain;q=0.1", .text), ("text/html;q=1.1", .problem), ("text/html;q=01", .problem),
        (",,text/html,,", .page), (";q=1,text/plain", .text), ("text/html;q=1.", .page), ("texthtml", .problem),
        ("*", .problem),
    ])
    func `the form that is liked best is taken`(accept: String, expected: AnswerFormat) {
        #expect(Self.format("Accept: \(accept)") == expected)
    }

    @Test func `without the field, programs are thought to ask`() {
        #expect(Self.format() == .problem)
        #expect(Self.format("Accept-Language: text/html", "X-Accept: text/html") == .problem)
    }

    @Test func `several fields are one list`() {
        #expect(Self.format("Accept: */*;q=0.1", "accept: text/plain;q=0.2") == .text)
        #expect(Self.format("Accept: text/html", "Accept: application/json") == .problem)
    }

    @Test func `whatever the field holds, one form comes of it`() {
        let pieces = [
            "text/html", "text/plain", "application/json", "*/*", "text/*", ",", ";", ";q=", "q", "0.5", "1", "0", "=",
            "\"",
            "\\", " ", "\t", "/", "charset=utf-8", ".", "9999999999",
        ]
        // A linear congruential generator: the same fields on every run.
        var state: UInt64 = 42
        for _ in 0..<3000 {
            var value = ""
            for _ in 0..<20 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                value += pieces[Int(state >> 33) % pieces.count]
            }
            #expect(Self.format("Accept: \(value)") != .grpc, "\(value.debugDescription)")
        }
    }

    @Test(arguments: [
        ("application/grpc", AnswerFormat.grpc), ("application/grpc+proto", .grpc), ("Application/gRPC; x=y", .grpc),
        ("application/grpc-web", .problem), ("application/grpc-web+proto", .problem), ("application/grpcx", .problem),
        ("application/grp", .problem), ("application/json", .problem),
    ])
    func `a call of gRPC is known by its type`(type: String, expected: AnswerFormat) {
        #expect(
            Self.format("Content-Type: \(type)", "Accept: text/html", method: "POST")
                == (expected == .grpc ? .grpc : .page))
        #expect(Self.format("Content-Type: \(type)") == .problem)
    }
}

struct AnswerBodyTests {
    private static func refusal(
        _ response: LocalResponse, _ format: AnswerFormat, _ detail: ErrorDetail = .code, isHEAD: Bool = false
    ) -> (head: String, body: String) {
        var form = ResponseForm(wallSeconds: 0)
        form.format = format
        form.detail = detail
        form.isHEAD = isHEAD
        form.requestID = RequestIDs.first
        var writer = LocalResponseWriter()
        let count = writer.refuse(response, form, Challenges([[(.bearer, "main")]]), location: 0)
        let text = String(decoding: (0..<writer.bytes.count).map { writer.bytes[$0] }, as: UTF8.self)
        let parts = text.components(separatedBy: "\r\n\r\n")
        #expect(parts.count == 2 && parts[1].utf8.count == count)
        return (parts[0], parts[1])
    }

    @Test(arguments: LocalResponse.allCases)
    func `a page and a text say what error_detail allows`(response: LocalResponse) {
        for format in [AnswerFormat.page, .text] {
            for detail in [ErrorDetail.none, .code, .full] {
                let (head, body) = Self.refusal(response, format, detail)
                #expect(head.hasPrefix("HTTP/1.1 \(response.status) "))
                #expect(head.contains("\r\nVary: Accept\r\n") && head.contains("\r\nCache-Control: no-store\r\n"))
                #expect(head.contains("\r\nContent-Length: \(body.utf8.count)"))
                #expect(body.contains("\(response.status)") && body.contains("\(response.title)"))
                #expect(body.contains("\(response.code)") == (detail != .none))
                #expect(body.contains("\(response.detail)") == (detail == .full))
                var id = ByteBuffer(capacity: 32)
                RequestIDs.first.append(to: &id)
                #expect(body.contains(String(decoding: (0..<32).map { id.bytes[$0] }, as: UTF8.self)))
            }
        }
    }

    @Test func `a page allows itself nothing but its own style`() throws {
        let (head, body) = Self.refusal(.notFound, .page)
        let style = try #require(body.firstMatch(of: /<style>(.*)<\/style>/)?.1)
        let digest = SHA256().hash(Array(style.utf8).span)
        #expect(head.contains("style-src 'sha256-\(Data(digest.bytes).base64EncodedString())';"))
        #expect(head.contains("Content-Security-Policy: default-src 'none';"))
        #expect(head.contains("Content-Type: text/html; charset=utf-8"))
        #expect(body.contains("color-scheme:light dark") && !body.contains("<script") && !body.contains("http"))
    }

    @Test(arguments: [AnswerFormat.problem, .page, .text, .grpc])
    func `HEAD gets the head of the same answer`(format: AnswerFormat) {
        let whole = Self.refusal(.tokenExpired, format, .full)
        let head = Self.refusal(.tokenExpired, format, .full, isHEAD: true)
        #expect(head.head == whole.head && head.body.isEmpty)
    }

    @Test(arguments: [
        (LocalResponse.tokenExpired, 16), (.tokenMissing, 16), (.insufficientScope, 7), (.notFound, 12),
        (.methodNotAllowed, 12), (.invalidRequest, 3), (.pathAmbiguous, 3), (.keysUnavailable, 14), (.overloaded, 14),
        (.upstreamClosed, 14), (.upstreamTimeout, 4), (.requestTimeout, 4), (.bodyTooLarge, 8), (.internalError, 13),
    ])
    func `a call of gRPC gets a status of its own`(response: LocalResponse, status: Int) {
        let texts = ["\(response.title)", "\(response.code)", "\(response.detail)"]
        for (detail, text) in zip([ErrorDetail.none, .code, .full], texts) {
            let (head, body) = Self.refusal(response, .grpc, detail)
            #expect(head.hasPrefix("HTTP/1.1 200 OK\r\n") && body.isEmpty)
            #expect(head.contains("\r\nContent-Type: application/grpc\r\n"))
            #expect(head.contains("\r\ngrpc-status: \(status)\r\ngrpc-message: \(text)\r\n"))
            #expect(head.contains("\r\nContent-Length: 0"))
            #expect(head.contains("\r\nGateway-Error: \(response.code)\r\n") == (detail != .none))
            #expect(head.contains("\r\nWWW-Authenticate: ") == (response.challenge != .none))
        }
    }
}

struct ChallengeTests {
    private typealias Schemes = [(scheme: ChallengeScheme, realm: String)]

    private static func challenges(
        _ response: LocalResponse, _ schemes: Schemes, _ detail: ErrorDetail = .code
    ) -> [String] {
        var form = ResponseForm(wallSeconds: 0)
        form.detail = detail
        var writer = LocalResponseWriter()
        let scope = Array("read:data".utf8)
        _ = writer.refuse(response, form, Challenges([[], schemes]), location: 1, scope: scope.span)
        let text = String(decoding: (0..<writer.bytes.count).map { writer.bytes[$0] }, as: UTF8.self)
        return text.split(separator: "\r\n").filter { $0.hasPrefix("WWW-Authenticate: ") }.map {
            String($0.dropFirst(18))
        }
    }

    @Test func `a location that takes two kinds of credentials sends a challenge for each`() {
        let both: Schemes = [(.bearer, "main"), (.apiKey, "partners")]
        #expect(Self.challenges(.tokenMissing, both) == ["Bearer realm=\"main\"", "ApiKey realm=\"partners\""])
        #expect(
            Self.challenges(.tokenExpired, both) == [
                "Bearer realm=\"main\", error=\"invalid_token\", error_description=\"The access token expired\"",
                "ApiKey realm=\"partners\"",
            ])
        #expect(Self.challenges(.tokenMissing, [(.apiKey, "partners")]) == ["ApiKey realm=\"partners\""])
    }

    @Test func `what RFC 6750 says of tokens is not said of API keys`() {
        #expect(Self.challenges(.insufficientScope, [(.apiKey, "partners")]).isEmpty)
        #expect(Self.challenges(.keysUnavailable, [(.bearer, "main"), (.apiKey, "partners")]).isEmpty)
    }

    @Test func `without a provider there is no realm`() {
        #expect(
            Self.challenges(.invalidRequest, []) == [
                "Bearer error=\"invalid_request\", error_description=\"The credentials are not well formed\""
            ])
        #expect(Self.challenges(.invalidRequest, [], .none) == ["Bearer error=\"invalid_request\""])
    }

    @Test(arguments: [ErrorDetail.none, .code, .full])
    func `the error and the missing scope are said at every level`(detail: ErrorDetail) {
        let description = detail == .none ? "" : "error_description=\"The access token lacks a permission\", "
        #expect(
            Self.challenges(.insufficientScope, [(.bearer, "main")], detail) == [
                "Bearer realm=\"main\", error=\"insufficient_scope\", \(description)scope=\"read:data\""
            ])
    }
}
