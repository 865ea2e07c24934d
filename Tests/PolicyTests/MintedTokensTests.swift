// Tokens of our own are sent again while they are fresh, and only to whom they were made for.
import Bytes
import Configuration
import Foundation
import JOSE
import Testing
import TokenSigning

@testable import Policy

@Suite struct MintedTokensTests {
    private func mint(_ number: UInt64) throws -> IdentityMint {
        let key = TokenSigner.edwards
        let rules = IdentityTokenRules(
            keyFiles: ["x"], key: key.key.privatePEM, publicKeys: key.keySet.keys, ttl: .seconds(60),
            audience: "orders",
            issuer: "gateway", header: "X-Gateway-Identity")
        return try #require(IdentityMint(rules, number: number))
    }
    private func principal(_ entry: Int32, provider: Int32 = 0, generation: UInt32 = 1) -> Principal {
        Principal(
            provider: SlotID(index: provider, generation: 1), entry: SlotID(index: entry, generation: generation))
    }
    private func made(
        _ mint: IdentityMint, subject: String = "alice", permissions: String = "read:data,a%2Cb", until: Int64 = .max
    ) throws -> (claims: [String: Any], freshUntil: Int64) {
        var out = ByteBuffer(capacity: 16)
        let fresh = mint.appendToken(
            subject: Array(subject.utf8).span, permissions: Array(permissions.utf8).span,
            provider: Array("main".utf8).span, now: tokenTime, goodUntil: until, to: &out)
        let bytes = out.bytes
        let token = String(decoding: bytes.indices.map { bytes[$0] }, as: UTF8.self)
        var body = ByteBuffer(capacity: 512)
        #expect(Base64URL.decode(Array(token.split(separator: ".")[1].utf8).span, into: &body))
        let text = body.bytes
        let claims = try JSONSerialization.jsonObject(with: Data(text.indices.map { text[$0] })) as? [String: Any]
        return (try #require(claims), try #require(fresh))
    }

    @Test func claimsAreTheTextsAndNotTheirEncoding() throws {
        let made = try made(mint(0), subject: "%20a b%25%C3%A9", permissions: "read:data,a%2Cb,%25")
        #expect(made.claims["sub"] as? String == " a b%é")
        #expect(made.claims["permissions"] as? [String] == ["read:data", "a,b", "%"])
        #expect(made.claims["iss"] as? String == "gateway" && made.claims["aud"] as? String == "orders")
        #expect(made.claims["provider"] as? String == "main")
        #expect(made.claims["iat"] as? Int64 == tokenTime && made.claims["exp"] as? Int64 == tokenTime + 60)
        #expect(made.freshUntil == tokenTime + 30)
    }

    @Test func neverOutlivesTheCredential() throws {
        let made = try made(mint(0), subject: "", permissions: "", until: tokenTime + 9)
        #expect(made.claims["exp"] as? Int64 == tokenTime + 9 && made.freshUntil == tokenTime + 4)
        #expect(made.claims["sub"] == nil && (made.claims["permissions"] as? [String])?.isEmpty ?? false)
    }

    @Test func foundByPrincipalAndMint() throws {
        var tokens = MintedTokens()
        let (a, b) = (try mint(0), try mint(1))
        tokens.insert([1].span, of: principal(5), a, freshUntil: 100)
        func find(_ who: Principal, _ mint: IdentityMint, _ now: Int64 = 99) -> [UInt8]? {
            guard let id = tokens.find(who, mint, now: now) else { return nil }
            var out = ByteBuffer(capacity: 16)
            tokens.write(id, to: &out)
            let bytes = out.bytes
            return bytes.indices.map { bytes[$0] }
        }
        #expect(find(principal(5), a) == [1])
        #expect(find(principal(5), b) == nil)
        #expect(find(principal(6), a) == nil && find(principal(5, provider: 1), a) == nil)
        // The slot was given to another credential.
        #expect(find(principal(5, generation: 3), a) == nil)
        #expect(find(principal(5), a, 100) == nil, "half its life is over")
        #expect(find(principal(5), a) == nil, "and then it is forgotten")
    }

    @Test func manyPushOutTheOldest() throws {
        var tokens = MintedTokens()
        let mint = try mint(0)
        for i in 0..<100_000 {
            tokens.insert([1, 2, 3].span, of: principal(Int32(i)), mint, freshUntil: 1000 + Int64(i))
        }
        var found = 0
        for i in 90_000..<100_000 where tokens.find(principal(Int32(i)), mint, now: 0) != nil { found += 1 }
        #expect(found > 9_900)
        for i in 0..<100 {
            tokens.insert([UInt8](repeating: 0, count: 1 << 20).span, of: principal(Int32(i)), mint, freshUntil: 9)
        }
        #expect(tokens.find(principal(99), mint, now: 0) != nil)
        #expect(tokens.find(principal(99_999), mint, now: 0) == nil, "memory is bounded")
    }
}
