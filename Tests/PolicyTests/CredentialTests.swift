// Rows A06 and A13: where a credential may stand, and that there is only one.
import Bytes
import Configuration
import HTTP
import Policy
import Testing

struct CredentialTests {
    private static let key = CredentialPlace.field(Array("X-API-Key".utf8))
    private static let cookie = CredentialPlace.cookie(Array("session".utf8))
    private static let query = CredentialPlace.query(Array("access_token".utf8))

    /// The credential in a request of that target and those fields; "400" when there are two, nil when there is none.
    private func find(_ places: [CredentialPlace], _ target: String = "/", _ fields: String...) -> String? {
        let text = "GET \(target) HTTP/1.1\r\nHost: h\r\n" + fields.map { $0 + "\r\n" }.joined() + "\r\n"
        var head = RequestHead()
        guard case .complete = head.parse(Array(text.utf8).span, limits: HTTPLimits()) else { return "no request" }
        switch Credential(head, places) {
        case .missing: return nil
        case .invalid: return "400"
        case .found(let range, _):
            let bytes = head.bytes
            return String(decoding: range.map { bytes[$0] }, as: UTF8.self)
        }
    }

    @Test func fields() {
        #expect(find([Self.key]) == nil)
        #expect(find([Self.key], "/", "x-api-key: k1") == "k1")
        #expect(find([Self.key], "/", "X_API_Key: k1") == "k1")
        #expect(find([Self.key], "/", "X-API-Key:") == nil)
        #expect(find([Self.key], "/", "X-API-Key: k1", "x-api-key: k1") == "400")
        #expect(find([Self.key], "/?access_token=k2", "X-API-Key: k1") == "k1", "the query is not asked")
    }
    @Test func cookies() {
        #expect(find([Self.cookie], "/", "Cookie: a=b; session=t1; c=d") == "t1")
        #expect(find([Self.cookie], "/", "Cookie: session=t1") == "t1")
        #expect(find([Self.cookie], "/", "Cookie: a=b", "Cookie: session=t1") == "t1")
        #expect(find([Self.cookie], "/", "Cookie:  session = t1 ;") == "t1")
        #expect(find([Self.cookie], "/", "Cookie: xsession=t1; sessionx=t2; Session=t3; session") == nil)
        #expect(find([Self.cookie], "/", "Cookie: session=; session=t1") == "t1")
        #expect(find([Self.cookie], "/", "Cookie: session=t1; session=t2") == "400")
        #expect(find([Self.cookie], "/", "Cookie: session=t1", "Cookie: session=t1") == "400")
    }
    @Test func queries() {
        #expect(find([Self.query], "/a?access_token=t1") == "t1")
        #expect(find([Self.query], "/a?x=y&access_token=t1&z") == "t1")
        #expect(find([Self.query], "/a?access%5Ftoken=t1") == "t1")
        #expect(find([Self.query], "/a?x=access_token=t1&ACCESS_TOKEN=t&access_tokens=t&access_token") == nil)
        #expect(find([Self.query], "/a?access_token=t1&access_token=t2") == "400")
        #expect(find([Self.query], "/access_token=t1") == nil)
        #expect(find([Self.query], "/?&&access_token=a.b-c_d~e=") == "a.b-c_d~e=")
    }
    @Test func severalPlaces() {
        let all = [CredentialPlace.bearer, Self.cookie, Self.query]
        #expect(find(all) == nil)
        #expect(find(all, "/", "Authorization: Bearer t0") == "t0")
        #expect(find(all, "/", "Cookie: session=t1") == "t1")
        #expect(find(all, "/?access_token=t2") == "t2")
        #expect(find(all, "/?access_token=t0", "Authorization: Bearer t0") == "400")
        #expect(find(all, "/", "Authorization: Bearer t0", "Cookie: session=t0") == "400")
        #expect(find(all, "/?access_token=t0", "Cookie: session=t1") == "400")
        #expect(find(all, "/", "Authorization: Bearer", "Cookie: session=t1") == "400")
        #expect(find(all, "/", "Authorization: Basic eDp5", "Cookie: session=t1") == "t1")
        #expect(find([.bearer], "/?access_token=t0", "Authorization: Bearer t1", "Cookie: session=t2") == "t1")
    }
}
