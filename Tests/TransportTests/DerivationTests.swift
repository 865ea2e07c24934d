// The secrets of TLS 1.3 as our provider derives them: as OpenSSL's own does, and as RFC 8448 writes them down.
import COpenSSL
import Glibc
import SeededRandom
import Testing
import Transport

@Suite struct DerivationTests {
    @Test func isPreferredByOurSettings() throws {
        _ = try TLSContext.client()
        #expect(providerName(CO_PREFERS_OURS) == "gateway")
    }

    /// RFC 8448 section 3: the early secret, and the handshake secret that follows from it.
    @Test func derivesWhatTheStandardShows() throws {
        _ = try TLSContext.client()
        let first = Derivation(mode: extracts, digest: "SHA256", label: "derived")
        let early = first.derive(CO_PREFERS_OURS, count: 32)
        #expect(early.map(hex) == "33ad0a1c607ec03b09e6cd9893680ce210adf300aa1f2660e1b22e10f170f92a")
        var second = Derivation(mode: extracts, digest: "SHA256", label: "derived")
        second.salt = early
        second.key = bytes("8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d")
        let handshake = second.derive(CO_PREFERS_OURS, count: 32)
        #expect(handshake.map(hex) == "1dc826e93606aa6fdc0aadc12f741b01046aa6b99f691ed221a9f0ca043fbeac")
    }

    @Test(arguments: [("SHA256", 32), ("SHA384", 48)]) func derivesWhatOpenSSLDerives(_ digest: String, _ size: Int)
        throws
    {
        _ = try TLSContext.client()
        var random = SeededGenerator(seed: 8446)
        for _ in 0..<300 {
            var one = Derivation(mode: expands, digest: digest, label: "")
            one.label = random.bytes(random.below(12))
            one.key = random.bytes(size)
            one.data = random.below(4) == 0 ? nil : random.bytes(random.below(65))
            let count = 1 + random.below(3 * size)
            let derived = one.derive(CO_PREFERS_OURS, count: count)
            #expect(derived != nil && derived == one.derive("provider=default", count: count))

            var other = Derivation(mode: extracts, digest: digest, label: "derived")
            // A shared secret of a large group is longer than a block of the hash.
            other.key = random.below(4) == 0 ? nil : random.bytes([32, 48, 66, 256][random.below(4)])
            other.salt = random.below(4) == 0 ? nil : random.bytes(size)
            let extracted = other.derive(CO_PREFERS_OURS, count: size)
            #expect(extracted != nil && extracted == other.derive("provider=default", count: size))
        }
    }

    /// Nothing is guessed: what is missing or too long is refused, so that the handshake ends.
    @Test func refusesWhatItCannotDerive() throws {
        _ = try TLSContext.client()
        var one = Derivation(mode: expands, digest: "SHA256", label: "key")
        one.key = [UInt8](repeating: 1, count: 32)
        #expect(one.derive(CO_PREFERS_OURS, count: 16) != nil)
        #expect(one.derive(CO_PREFERS_OURS, count: 255 * 32 + 1) == nil)
        one.label = [UInt8](repeating: 65, count: 250)
        #expect(one.derive(CO_PREFERS_OURS, count: 16) == nil)
        one.label = []
        one.data = [UInt8](repeating: 1, count: 256)
        #expect(one.derive(CO_PREFERS_OURS, count: 16) == nil)
        #expect(Derivation(mode: expands, digest: "SHA256", label: "key").derive(CO_PREFERS_OURS, count: 16) == nil)
        #expect(
            Derivation(mode: extracts, digest: "SHA512", label: "derived").derive(CO_PREFERS_OURS, count: 64) == nil)
        #expect(
            Derivation(mode: extracts, digest: "SHA256", label: "derived").derive(CO_PREFERS_OURS, count: 31) == nil)
        #expect(Derivation(mode: 7, digest: "SHA256", label: "derived").derive(CO_PREFERS_OURS, count: 32) == nil)
    }

    private let extracts = Int32(1)
    private let expands = Int32(2)
    private func hex(_ bytes: [UInt8]) -> String {
        bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }
    private func bytes(_ hex: String) -> [UInt8] {
        let digits = Array(hex)
        return stride(from: 0, to: digits.count, by: 2).map { UInt8(String(digits[$0...$0 + 1]), radix: 16) ?? 0 }
    }
    private func providerName(_ properties: String) -> String? {
        guard let found = EVP_KDF_fetch(nil, "TLS13-KDF", properties) else { return nil }
        defer { EVP_KDF_free(found) }
        return String(cString: OSSL_PROVIDER_get0_name(EVP_KDF_get0_provider(found)))
    }
}

/// What libssl asks for.
private struct Derivation {
    let mode: Int32
    let digest: String
    var label: [UInt8]
    var key: [UInt8]?
    var salt: [UInt8]?
    var data: [UInt8]?

    init(mode: Int32, digest: String, label: String) {
        self.mode = mode
        self.digest = digest
        self.label = Array(label.utf8)
    }

    func derive(_ properties: String, count: Int) -> [UInt8]? {
        guard let found = EVP_KDF_fetch(nil, "TLS13-KDF", properties), let context = EVP_KDF_CTX_new(found) else {
            return nil
        }
        defer {
            EVP_KDF_CTX_free(context)
            EVP_KDF_free(found)
        }
        let builder = OSSL_PARAM_BLD_new()
        var copies: [UnsafeMutablePointer<UInt8>] = []
        for (name, octets) in [
            ("key", key), ("salt", salt), ("prefix", Array("tls13 ".utf8)), ("label", label), ("data", data),
        ] {
            guard let octets else { continue }
            let copy = UnsafeMutablePointer<UInt8>.allocate(capacity: octets.count + 1)
            copy.update(from: octets, count: octets.count)
            copies.append(copy)
            OSSL_PARAM_BLD_push_octet_string(builder, lasting(name), copy, octets.count)
        }
        OSSL_PARAM_BLD_push_int(builder, lasting("mode"), mode)
        OSSL_PARAM_BLD_push_utf8_string(builder, lasting("digest"), lasting(digest), 0)
        let parameters = OSSL_PARAM_BLD_to_param(builder)
        defer {
            OSSL_PARAM_free(parameters)
            OSSL_PARAM_BLD_free(builder)
            for copy in copies { copy.deallocate() }
        }
        var out = [UInt8](repeating: 0, count: count)
        let isDone = EVP_KDF_derive(context, &out, count, parameters) == 1
        ERR_clear_error()
        return isDone ? out : nil
    }
    /// The builder keeps the names that it is given: of these there are few, and they stay.
    private func lasting(_ text: String) -> UnsafePointer<CChar> { UnsafePointer(strdup(text)) }
}
