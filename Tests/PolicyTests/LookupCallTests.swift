// What is sent to a service that is asked about a credential, and which of its answers say something.
import Bytes
import Configuration
import HTTP
import Policy
import Testing

struct LookupCallTests {
    private func target(_ kind: LookupTarget.Kind, port: UInt16 = 5000) throws -> LookupTarget {
        LookupTarget(
            provider: "p", kind: kind, address: try WebAddress("http://auth.example:\(port)/check?x=1"), addresses: [])
    }
    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    @Test func introspection() throws {
        let call = try LookupCall(target(.introspection), clientID: "gate way", clientSecret: "s:+é")
        let token = Array("abc.d~e-f_g+h/=&x".utf8)
        // printf 'gate+way:s%%3A%%2B%%C3%%A9' | base64
        #expect(
            text(call.introspection(of: token.span, hint: "access_token"))
                == "POST /check?x=1 HTTP/1.1\r\nHost: auth.example:5000\r\nAccept: application/json\r\n"
                + "Authorization: Basic Z2F0ZSt3YXk6cyUzQSUyQiVDMyVBOQ==\r\n"
                + "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 62\r\n\r\n"
                + "token=abc.d%7Ee-f_g%2Bh%2F%3D%26x&token_type_hint=access_token")
    }
    @Test func withoutClient() throws {
        let sent = try text(
            LookupCall(target(.introspection, port: 80)).introspection(of: [0x61].span, hint: "api_key"))
        #expect(sent.contains("\r\nHost: auth.example\r\n") && !sent.contains("Authorization"))
        #expect(sent.hasSuffix("\r\n\r\ntoken=a&token_type_hint=api_key"))
    }
    @Test func request() throws {
        let request =
            "PUT /a/./b?c=d HTTP/1.1\r\nHost: h\r\nAuthorization: Basic eDp5\r\nX-Other: no\r\nCookie: a=b\r\n"
            + "Content-Length: 5\r\n\r\n"
        var head = RequestHead()
        guard case .complete = head.parse(Array(request.utf8).span, limits: HTTPLimits()) else {
            return #expect(Bool(false), "no request")
        }
        #expect(
            try text(LookupCall(target(.request)).request(for: head))
                == "GET /check?x=1 HTTP/1.1\r\nHost: auth.example:5000\r\nAccept: application/json\r\n"
                + "X-Original-Method: PUT\r\nX-Original-URI: /a/b?c=d\r\nAuthorization: Basic eDp5\r\nCookie: a=b\r\n\r\n"
        )
    }

    private func isUsable(_ kind: LookupTarget.Kind, _ status: Int, _ body: String = "") -> Bool {
        var answer = LookupAnswer(status: status)
        answer.body = Array(body.utf8)
        return answer.isUsable(kind)
    }
    @Test func answersToRequests() {
        for status in [200, 204, 299, 401, 403] { #expect(isUsable(.request, status), "\(status)") }
        for status in [300, 302, 400, 404, 500, 503] { #expect(!isUsable(.request, status), "\(status)") }
    }
    @Test(arguments: [
        "{\"active\":true}", "{\"active\":false}", "{\"sub\":\"a\",\"active\":true,\"x\":{\"active\":1}}",
        "{\"\\u0061ctive\":true}",
    ])
    func answersOfIntrospection(_ body: String) {
        #expect(isUsable(.introspection, 200, body))
        #expect(!isUsable(.introspection, 401, body) && !isUsable(.introspection, 201, body))
    }
    @Test(arguments: [
        "", "{}", "[]", "true", "{\"active\":\"true\"}", "{\"active\":1}", "{\"active\":null}", "<html></html>",
        "{\"active\":true", "{\"active\":true}x", "{\"active\":true,\"active\":false}", "{\"x\":{\"active\":true}}",
    ])
    func whatSaysNothing(_ body: String) {
        #expect(!isUsable(.introspection, 200, body), "\(body)")
    }
}
