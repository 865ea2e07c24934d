// The cache under pressure: bounded, exact, and never another's claims.
import Configuration
import Policy
import Testing
import TokenSigning

@Suite struct VerificationCacheTests {
    private static let tokens: [String] = (0..<400).map { i in
        TokenSigner.edwards.token(claims(["sub": "\"user-\(i)\"", "permissions": "[\"p:\(i)\"]"]))
    }

    private func expectOwnClaims(_ authenticator: inout Authenticator, _ i: Int) throws {
        let found = try principal(&authenticator, Self.tokens[i])
        #expect(written(authenticator, found) == ["user-\(i)", "p:\(i)", "main"])
        authenticator.release(found)
    }

    @Test(arguments: [0, 1, 2, 7, 64, 399]) func boundedByEntries(_ limit: Int) throws {
        var authenticator = Authenticator([provider(keys: [.edwards]) { $0.cacheEntries = limit }], workers: 1)
        var random = SeededRandom(seed: 7)
        for _ in 0..<3000 {
            try expectOwnClaims(&authenticator, Int(random.next() % 400))
            #expect(authenticator.counters.entries <= limit)
        }
        let counters = authenticator.counters
        #expect(counters.hits + counters.misses == 3000)
        #expect(limit != 0 || counters.hits == 0)
        #expect(limit < 2 || counters.entries == limit)
        #expect(limit < 2 || counters.evictions + UInt64(limit) == counters.misses)
    }

    @Test func limitIsOfAllWorkers() throws {
        var authenticator = Authenticator([provider(keys: [.edwards]) { $0.cacheEntries = 100 }], workers: 4)
        for i in 0..<200 { try expectOwnClaims(&authenticator, i) }
        #expect(authenticator.counters.entries == 25)
    }

    @Test func boundedByBytes() throws {
        var authenticator = Authenticator([provider(keys: [.edwards]) { $0.cacheSize = 4096 }], workers: 1)
        for i in 0..<300 {
            try expectOwnClaims(&authenticator, i)
            #expect(authenticator.counters.bytes <= 4096)
        }
        #expect(authenticator.counters.entries == 11, "slots with their places in the index and the queues")
        // One that takes half of it pushes out as many small ones as it needs, or is not kept.
        let large = TokenSigner.edwards.token(claims(["sub": "\"\(String(repeating: "x", count: 2000))\""]))
        for _ in 0..<3 {
            #expect(answer(&authenticator, large) == nil)
            #expect(authenticator.counters.bytes <= 4096)
        }
    }

    /// A provider that goes takes its entries with it, but what happened has happened.
    @Test func evictionsStayCounted() throws {
        var authenticator = Authenticator([provider(keys: [.edwards]) { $0.cacheEntries = 10 }], workers: 1)
        for i in 0..<25 { try expectOwnClaims(&authenticator, i) }
        #expect(authenticator.counters.evictions == 15)
        authenticator.update([])
        #expect(authenticator.counters.evictions == 15 && authenticator.counters.entries == 0)
    }

    /// What is used stays; what was used once goes.
    @Test func keepsWhatIsUsed() throws {
        var authenticator = Authenticator([provider(keys: [.edwards]) { $0.cacheEntries = 50 }], workers: 1)
        for i in 50..<400 {
            for used in 0..<10 { try expectOwnClaims(&authenticator, used) }
            try expectOwnClaims(&authenticator, i)
        }
        // 350 tokens came by once, ten were asked 350 times: at most a few of those were lost on the way.
        #expect(authenticator.counters.misses < 350 + 60)
    }

    @Test func heldEntriesSurvive() throws {
        var authenticator = Authenticator([provider(keys: [.edwards]) { $0.cacheEntries = 4 }], workers: 1)
        let held = try (0..<100).map { try principal(&authenticator, Self.tokens[$0]) }
        for i in 100..<200 { try expectOwnClaims(&authenticator, i) }
        for (i, principal) in held.enumerated() { #expect(written(authenticator, principal)[0] == "user-\(i)") }
        #expect(authenticator.counters.entries <= 4)
        for principal in held { authenticator.release(principal) }
        for i in 200..<300 { try expectOwnClaims(&authenticator, i) }
        #expect(authenticator.counters.entries == 4)
        // The slots of released entries serve others, and old principals name nobody.
        for principal in held { #expect(!written(authenticator, principal)[0].hasPrefix("user-1")) }
    }

    @Test func heldTwiceReleasedTwice() throws {
        var authenticator = Authenticator([provider(keys: [.edwards]) { $0.cacheEntries = 1 }], workers: 1)
        let first = try principal(&authenticator, Self.tokens[0]),
            second = try principal(&authenticator, Self.tokens[0])
        try expectOwnClaims(&authenticator, 1)
        authenticator.release(first)
        try expectOwnClaims(&authenticator, 2)
        #expect(written(authenticator, second)[0] == "user-0")
        authenticator.release(second)
    }
}
