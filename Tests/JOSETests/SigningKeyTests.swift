// What the gateway signs itself, others can check: here the verifier, with the published half of the key.
import Bytes
import JOSE
import Testing
import TokenSigning

@Suite struct SigningKeyTests {
    @Test(arguments: [TokenSigner.rsa, .ec, .p384, .p521, .edwards]) func signs(_ signer: TokenSigner) throws {
        let key = try SigningKey.read(pem: signer.key.privatePEM, type: "at+jwt")
        let (algorithm, described) = (key.algorithm, key.described)
        #expect(algorithm == signer.signatureAlgorithm && described.id == signer.key.kid)
        #expect(JSONWebKeySet(keys: [described]).document == signer.key.jwks)
        for _ in 0..<20 {
            var token = ByteBuffer(capacity: 16)
            token.append("x")
            let isSigned = key.appendToken(Array(payload().utf8).span, to: &token)
            #expect(isSigned)
            let bytes = token.bytes
            let text = String(decoding: bytes.indices.map { bytes[$0] }.dropFirst(), as: UTF8.self)
            #expect(refusal(text, keys: [described]) == nil)
        }
        #expect(TokenSigner.errorQueueIsEmpty)
    }

    @Test func refusesWhatIsNoPrivateKey() throws {
        for pem in [TokenSigner.rsa.key.publicPEM, Array("x".utf8), [], TokenSigner.rsa.key.jwks] {
            #expect(throws: JOSEError.noPrivateKey) { _ = try SigningKey.read(pem: pem) }
        }
        #expect(TokenSigner.errorQueueIsEmpty)
    }

    @Test func documentsHoldNoSecret() throws {
        let secret = JSONWebKey(.secret([UInt8](repeating: 7, count: 64)), id: "s")
        let text = String(decoding: JSONWebKeySet(keys: [secret]).document, as: UTF8.self)
        #expect(text == #"{"keys":[{"kty":"oct","use":"sig","kid":"s"}]}"# + "\n")
    }
}
