// Answers on the wire: RFC 9457 bodies, RFC 6750 challenges, framing.
import Bytes
import Configuration
import Foundation
import Policy
import Testing

struct LocalResponseWriterTests {
    private static let now: Int64 = 1_795_253_400

    /// A refusal as text, with the number of body bytes that was returned.
    private static func refusal(
        _ response: LocalResponse, scope: String = "", realm: String = "main", added: String = "",
        _ change: (inout ResponseForm) -> Void = { _ in }
    ) -> (text: String, body: Int) {
        var form = ResponseForm(wallSeconds: now)
        change(&form)
        var writer = LocalResponseWriter()
        let scope = Array(scope.utf8), added = Array(added.utf8)
        let body = writer.refuse(
            response, form, Challenges([[(.bearer, realm)]]), location: 0, scope: scope.span, added: added.span)
        return (Self.text(writer.bytes), body)
    }
    private static func answer(
        _ status: Int, _ words: String, _ change: (inout ResponseForm) -> Void = { _ in }
    ) -> String? {
        var form = ResponseForm(wallSeconds: now)
        change(&form)
        var writer = LocalResponseWriter()
        let words = Array(words.utf8)
        guard writer.answer(status: status, text: words.span, form) != nil else { return nil }
        return Self.text(writer.bytes)
    }
    private static func text(_ bytes: Span<UInt8>) -> String {
        String(decoding: (0..<bytes.count).map { bytes[$0] }, as: UTF8.self)
    }
    private static func body(_ text: String) -> String { String(text.split(separator: "\r\n\r\n", maxSplits: 1)[1]) }
    private static func field(_ text: String, _ name: String) -> String? {
        text.split(separator: "\r\n").first { $0.hasPrefix(name + ": ") }.map { String($0.dropFirst(name.count + 2)) }
    }

    @Test func `an answer can be sent in parts`() {
        for isHEAD in [false, true] {
            var form = ResponseForm(wallSeconds: Self.now)
            form.closes = true
            form.isHEAD = isHEAD
            var writer = LocalResponseWriter()
            let words = Array("hello".utf8), added = Array("X-One: 1\r\n".utf8)
            let sent = writer.answer(status: 200, text: words.span, form, added: added.span)
            let (whole, fields, body) = (Self.text(writer.bytes), Self.text(writer.fields), Self.text(writer.sentBody))
            #expect(whole == "HTTP/1.1 200 OK\r\n\(fields)Connection: close\r\n\r\n\(body)")
            #expect(fields.hasSuffix("X-One: 1\r\nContent-Length: 5\r\n") && fields.hasPrefix("Date: "))
            #expect(body == (isHEAD ? "" : "hello") && sent == body.utf8.count && writer.status == 200)
        }
    }

    @Test func `J50 an expired token is answered to the letter`() {
        let (text, body) = Self.refusal(.tokenExpired)
        #expect(
            text == """
                HTTP/1.1 401 Unauthorized\r
                Date: Sat, 21 Nov 2026 09:30:00 GMT\r
                Content-Type: application/problem+json\r
                Vary: Accept\r
                Cache-Control: no-store\r
                Gateway-Error: token_expired\r
                WWW-Authenticate: Bearer realm="main", error="invalid_token", \
                error_description="The access token expired"\r
                Content-Length: 82\r
                \r
                {"type":"about:blank","title":"Unauthorized","status":401,"code":"token_expired"}

                """)
        #expect(body == 82)
    }

    @Test func `J01 without credentials the challenge names no error`() {
        #expect(Self.field(Self.refusal(.tokenMissing).text, "WWW-Authenticate") == "Bearer realm=\"main\"")
    }

    @Test func `J61 a missing permission is named as scope`() {
        let text = Self.refusal(.insufficientScope, scope: "read:data").text
        #expect(text.hasPrefix("HTTP/1.1 403 Forbidden\r\n"))
        #expect(
            Self.field(text, "WWW-Authenticate") == """
                Bearer realm="main", error="insufficient_scope", \
                error_description="The access token lacks a permission", scope="read:data"
                """)
    }

    @Test func `J67 what cannot be judged is no challenge`() {
        let text = Self.refusal(.keysUnavailable).text
        #expect(text.hasPrefix("HTTP/1.1 503 Service Unavailable\r\n"))
        #expect(Self.field(text, "Retry-After") == "2")
        #expect(Self.field(text, "WWW-Authenticate") == nil)
    }

    @Test func `A04 malformed credentials are a 400 with a challenge`() {
        let text = Self.refusal(.invalidRequest).text
        #expect(text.hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
        #expect(
            Self.field(text, "WWW-Authenticate")?.hasPrefix("Bearer realm=\"main\", error=\"invalid_request\"") == true)
    }

    @Test func `P08 a forbidden method names those that are not`() {
        #expect(
            Self.field(Self.refusal(.methodNotAllowed).text, "Allow") == "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS")
    }

    @Test func `a realm or scope cannot break out of its quotes`() {
        let text = Self.refusal(.insufficientScope, scope: "a\"b\\c\r\nd", realm: "x\", error=\"none\r\nSet-Cookie: a")
            .text
        #expect(
            Self.field(text, "WWW-Authenticate")?.hasPrefix("Bearer realm=\"x_, error=_none__Set-Cookie: a\"") == true)
        #expect(text.contains("scope=\"a_b_c__d\"\r\n"))
        #expect(Self.field(text, "Set-Cookie") == nil)
    }

    @Test(arguments: LocalResponse.allCases)
    func `every refusal is a problem document with its length and no caching`(response: LocalResponse) throws {
        for detail in [ErrorDetail.none, .code, .full] {
            let (text, count) = Self.refusal(response) {
                $0.detail = detail
                $0.requestID = RequestIDs.first
            }
            let body = Self.body(text)
            let object = try #require(try JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: Any])
            #expect(object["type"] as? String == "about:blank")
            #expect(object["title"] as? String == "\(response.title)")
            #expect(object["status"] as? Int == response.status)
            #expect(object["code"] as? String == (detail == .none ? nil : "\(response.code)"))
            #expect(object["detail"] as? String == (detail == .full ? "\(response.detail)" : nil))
            #expect((object["request_id"] as? String)?.count == 32)
            #expect(Self.field(text, "Content-Length") == "\(body.utf8.count)" && count == body.utf8.count)
            #expect(Self.field(text, "Cache-Control") == "no-store")
            #expect(Self.field(text, "Gateway-Error") == (detail == .none ? nil : "\(response.code)"))
            #expect((Self.field(text, "Connection") == "close") == response.closesConnection)
            if detail == .none { #expect(!text.contains("error_description")) }
        }
    }

    @Test func `HEAD gets the head of the same answer`() {
        let whole = Self.refusal(.notFound), head = Self.refusal(.notFound) { $0.isHEAD = true }
        #expect(head.body == 0)
        #expect(head.text + Self.body(whole.text) == whole.text)
    }

    @Test(
        arguments: [
            (UInt8(1), false, nil), (1, true, "close"), (0, false, "keep-alive"), (0, true, "close"),
        ] as [(UInt8, Bool, String?)])
    func `persistence is said where it must be`(minor: UInt8, closes: Bool, expected: String?) {
        let text = Self.refusal(.notFound) {
            $0.minor = minor
            $0.closes = closes
        }.text
        #expect(Self.field(text, "Connection") == expected)
    }

    @Test func `configured fields are part of a refusal`() {
        #expect(
            Self.field(Self.refusal(.notFound, added: "X-Frame-Options: DENY\r\n").text, "X-Frame-Options") == "DENY")
    }

    @Test func `a queue takes the answer behind what it holds`() {
        var writer = LocalResponseWriter(), pool = BufferPool(), queue = ByteQueue()
        _ = writer.refuse(.notFound, ResponseForm(wallSeconds: Self.now), Challenges([[]]), location: 0)
        writer.write(to: &queue, &pool)
        writer.write(to: &queue, &pool)
        let once = Self.text(writer.bytes)
        #expect(Self.text(queue.bytes) == once + once)
    }

    // MARK: return

    @Test func `return answers with its text`() {
        #expect(
            Self.answer(200, "ok\n") == """
                HTTP/1.1 200 OK\r
                Date: Sat, 21 Nov 2026 09:30:00 GMT\r
                Content-Type: text/plain\r
                Content-Length: 3\r
                \r
                ok

                """)
    }

    @Test(arguments: [301, 302, 303, 307, 308])
    func `U02 a redirect cannot split the response`(status: Int) {
        let text = Self.answer(status, "https://example.com/x")
        #expect(text.flatMap { Self.field($0, "Location") } == "https://example.com/x")
        for evil in ["/a\r\nSet-Cookie: x=1", "/a\nb", "/a\0", "/a\u{7f}", ""] {
            #expect(Self.answer(status, evil) == nil)
        }
    }

    @Test(arguments: [204, 304])
    func `204 and 304 have no body and no length`(status: Int) {
        let text = Self.answer(status, "ignored")
        #expect(text?.hasSuffix("\r\n\r\n") == true)
        #expect(text.flatMap { Self.field($0, "Content-Length") } == nil)
    }

    @Test func `an error without text is a problem document`() throws {
        let text = try #require(Self.answer(403, "") { $0.requestID = RequestIDs.first })
        #expect(Self.field(text, "Content-Type") == "application/problem+json")
        #expect(
            Self.body(text).hasPrefix(
                "{\"type\":\"about:blank\",\"title\":\"Forbidden\",\"status\":403,\"request_id\":\""))
    }
}

extension RequestIDs {
    static var first: RequestID {
        var ids = RequestIDs(worker: 1, counter: 2)
        return ids.next()
    }
}
