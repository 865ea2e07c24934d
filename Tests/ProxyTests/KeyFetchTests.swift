// What of a fetch needs no network: how long an answer may be used, which document is a key set.
import JOSE
import Testing

@testable import Proxy

struct KeyFetchTests {
    @Test(
        arguments: [
            ("max-age=300", 300), ("public, Max-Age=300, must-revalidate", 300), ("max-age=\"300\"", 300),
            ("max-age=300, max-age=200", 200), ("no-store", 0), ("max-age=300, no-cache", 0), ("no-cache=\"x\"", 0),
            ("private", nil), ("", nil), ("s-maxage=300", nil), ("max-age=", 0), ("max-age=-1", 0), ("max-age=1.5", 0),
            ("max-age=99999999999999999999999", .max),
        ] as [(String, UInt64?)])
    func `Cache-Control says how long`(text: String, life: UInt64?) {
        #expect(WebFetch.life(text) == life)
    }

    @Test(
        arguments: [
            ("<html><body>hello</body></html>", .notKeySet), ("", .notKeySet), ("[]", .notKeySet), ("{}", .notKeySet),
            ("{\"keys\":[]}", .noUsableKey), ("{\"keys\":[{\"kty\":\"RSA\"}]}", .noUsableKey),
        ] as [(String, FetchFailure.Reason)])
    func `what is no usable key set is refused for a reason`(text: String, reason: FetchFailure.Reason) {
        #expect(failure(Array(text.utf8)) == reason)
    }

    @Test func `a hundred thousand keys, or a quarter of a megabyte, are too much`() {
        let key = "{\"kty\":\"x\"}"
        let many = "{\"keys\":[" + [String](repeating: "{}", count: 80_000).joined(separator: ",") + "]}"
        #expect(failure(Array(many.utf8)) == .tooManyKeys)
        let some = "{\"keys\":[" + [String](repeating: key, count: 65).joined(separator: ",") + "]}"
        #expect(failure(Array(some.utf8)) == .tooManyKeys)
        #expect(failure([UInt8](repeating: 0x20, count: 256 * 1024 + 1)) == .tooLarge)
    }

    private func failure(_ document: [UInt8]) -> FetchFailure.Reason? {
        do throws(FetchFailure) {
            _ = try KeyFetch.parse(document)
            return nil
        } catch {
            return error.reason
        }
    }
}
