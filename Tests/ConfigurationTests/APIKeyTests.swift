// Files of API keys: what they hold, and every mistake with its place.
import Configuration
import JOSE
import Testing

struct APIKeyTests {
    // printf key-1 | sha256sum
    private static let hex = "4c9ef0d1e43de1d95e4a8a3ff1da5d7ed1c3a8d6c38e3a4a46fe7e3a2ac0b4f7"

    @Test func whatAKeySays() throws {
        let text = """
            {"keys": [
              {"id": "k1", "hash": "\(Self.hex)", "subject": "svc \\"a\\"", "permissions": ["read:data"],
               "roles": ["r"], "name": "build", "expires_at": 1900000000},
              {"hash": "\(Base.url)", "id": "k2", "revoked": true, "expires_at": null}
            ]}
            """
        let keys = try APIKey.parse(Array(text.utf8))
        let first = try #require(keys.first { $0.id == "k1" })
        #expect(first.expiresAt == 1_900_000_000 && !first.isRevoked)
        #expect(first.hash.bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined() == Self.hex)
        #expect(
            String(decoding: first.claims, as: UTF8.self)
                == #"{"sub":"svc \"a\"","api_key_id":"k1","name":"build","permissions":["read:data"],"roles":["r"]}"#)
        let second = try #require(keys.first { $0.id == "k2" })
        #expect(second.isRevoked && second.expiresAt == nil && second.hash.bytes == [UInt8](repeating: 0xff, count: 32))
        #expect(
            String(decoding: second.claims, as: UTF8.self)
                == #"{"sub":"k2","api_key_id":"k2","permissions":[],"roles":[]}"#)
        #expect(try APIKey.parse(Array("{\"keys\":[]}".utf8)).isEmpty)
    }
    private enum Base { static let url = String(repeating: "_", count: 42) + "8" }

    private func fault(_ text: String) -> String {
        do throws(APIKeyError) {
            _ = try APIKey.parse(Array(text.utf8))
            return ""
        } catch {
            return "\(error.line):\(error.column): \(error.reason)"
        }
    }
    @Test func mistakes() {
        let key = "{\"id\":\"a\",\"hash\":\"\(Self.hex)\""
        #expect(fault("") == "1:1: it is not JSON from here on")
        #expect(fault("[]") == "1:1: an object with \"keys\" is expected here")
        #expect(fault("{}") == "1:2: \"keys\" is expected here")
        #expect(fault("{\"key\":[]}") == "1:3: \"keys\" is expected here")
        #expect(fault("{\"keys\":{}}") == "1:9: an array of keys is expected here")
        #expect(fault("{\"keys\":[1]}") == "1:10: a key, as an object, is expected here")
        #expect(fault("{\"keys\":[\n {\"id\":\"a\"}]}") == "2:2: this key has no \"hash\"")
        #expect(fault("{\"keys\":[\n\n  {\"hash\":\"\(Self.hex)\"}]}") == "3:3: this key has no \"id\"")
        #expect(fault("{\"keys\":[{\"id\":\"\"}]}") == "1:17: a text that is not empty is expected here")
        #expect(fault("{\"keys\":[{\"id\":7}]}") == "1:16: a text that is not empty is expected here")
        #expect(fault("{\"keys\":[\(key),\"hash\":\"x\"}]}").contains("a member is said twice"))
        #expect(fault("{\"keys\":[{\"hash\":\"abcd\"}]}").contains("SHA-256 of the key, in hexadecimal or base64url"))
        #expect(fault("{\"keys\":[\(key),\"key\":\"gk\"}]}").contains("a key has no member \"key\""))
        #expect(fault("{\"keys\":[\(key),\"expires_at\":\"tomorrow\"}]}").contains("whole seconds since 1970"))
        #expect(fault("{\"keys\":[\(key),\"revoked\":1}]}").contains("true or false"))
        #expect(fault("{\"keys\":[\(key),\"permissions\":\"a\"}]}").contains("an array of texts"))
        #expect(fault("{\"keys\":[\(key)},\n\(key)}]}") == "2:1: the id \"a\" is there twice")
        #expect(
            fault("{\"keys\":[\(key)},\(key.replacing("\"a\"", with: "\"b\""))}]}").contains(
                "another key has the same hash"))
        #expect(fault("{\"keys\":[],\"x\":1}").contains("nothing but \"keys\""))
        #expect(fault("{\"keys\":[]} x").contains("it is not JSON from here on"))
    }
}
