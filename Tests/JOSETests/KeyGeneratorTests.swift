// Generated keys are usable by others: PKCS#8, SubjectPublicKeyInfo and a JWK Set that all mean the same key.
import JOSE
import Testing
import TokenSigning

@Suite struct KeyGeneratorTests {
    @Test(arguments: [
        KeyGenerator.Kind.rsa(bits: 2048), .rsa(bits: 3072), .ec(.p256), .ec(.p384), .ec(.p521), .ed25519,
    ])
    func generates(_ kind: KeyGenerator.Kind) throws {
        let key = try KeyGenerator.generate(kind)
        #expect(String(decoding: key.privatePEM, as: UTF8.self).hasPrefix("-----BEGIN PRIVATE KEY-----\n"))
        #expect(String(decoding: key.publicPEM, as: UTF8.self).hasPrefix("-----BEGIN PUBLIC KEY-----\n"))
        let set = try JSONWebKeySet.parse(key.jwks)
        #expect(set.keys.count == 1 && set.skipped.isEmpty)
        #expect(set.keys[0].id == key.kid && key.kid == set.keys[0].thumbprint && key.kid.utf8.count == 43)
        #expect(try JSONWebKeySet.parse(pem: key.publicPEM).keys[0].material == set.keys[0].material)
        #expect(try KeyGenerator.generate(kind).kid != key.kid)
    }

    @Test(arguments: [1024, 2047, 0, -1, 16384]) func refusesSizes(_ bits: Int) {
        #expect(throws: JOSEError.self) { try KeyGenerator.generate(.rsa(bits: bits)) }
    }

    @Test func namesRoundTrip() {
        for algorithm in SignatureAlgorithm.allCases { #expect(SignatureAlgorithm(name: algorithm.name) == algorithm) }
        for name in ["none", "ES256K", "Ed25519", "rs256", "", "RS256 "] {
            #expect(SignatureAlgorithm(name: name) == nil)
        }
    }
}
