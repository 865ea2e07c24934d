// Signs tokens as an issuer would, and as an attacker would: any header, any payload, any bytes.
import Bytes
import COpenSSL
package import JOSE

package struct TokenSigner: Sendable {
    package let key: GeneratedKey
    private let kind: KeyGenerator.Kind

    package init(_ kind: KeyGenerator.Kind) {
        self.kind = kind
        do { key = try KeyGenerator.generate(kind) } catch { fatalError("no key: \(error)") }
    }

    /// One key of each kind for a whole test run: making RSA keys takes time.
    package static let rsa = TokenSigner(.rsa(bits: 2048))
    package static let otherRSA = TokenSigner(.rsa(bits: 2048))
    package static let ec = TokenSigner(.ec)
    package static let edwards = TokenSigner(.ed25519)

    package var algorithm: String {
        switch kind {
        case .rsa: "RS256"
        case .ec: "ES256"
        case .ed25519: "EdDSA"
        }
    }
    package var keySet: JSONWebKeySet {
        do { return try JSONWebKeySet.parse(key.jwks) } catch { fatalError("no key set: \(error)") }
    }

    /// A token with this key's `alg` and `kid`.
    package func token(_ payload: String, type: String = "at+jwt") -> String {
        token(header: #"{"alg":"\#(algorithm)","typ":"\#(type)","kid":"\#(key.kid)"}"#, payload)
    }
    /// A correctly signed token with exactly that header.
    package func token(header: String, _ payload: String) -> String {
        token(header: Array(header.utf8), payload: Array(payload.utf8))
    }
    package func token(header: [UInt8], payload: [UInt8]) -> String {
        let signed = Self.encode(header) + "." + Self.encode(payload)
        return signed + "." + Self.encode(signature(of: Array(signed.utf8)))
    }

    package static func encode(_ bytes: [UInt8]) -> String { Base64URL.encode(bytes.span) }
    package static func encode(_ text: String) -> String { encode(Array(text.utf8)) }

    /// In the form of RFC 7518: an ECDSA signature as two numbers of 32 bytes.
    package func signature(of message: [UInt8]) -> [UInt8] {
        let der = derSignature(of: message)
        guard case .ec = kind else { return der }
        var at = 2
        var raw: [UInt8] = []
        for _ in 0..<2 {
            let count = Int(der[at + 1])
            let number = der[at + 2..<at + 2 + count].drop { $0 == 0 }
            raw += [UInt8](repeating: 0, count: 32 - number.count) + number
            at += 2 + count
        }
        return raw
    }

    /// As the library gives it.
    package func derSignature(of message: [UInt8]) -> [UInt8] {
        let source = BIO_new(BIO_s_mem())
        BIO_write(source, key.privatePEM, Int32(key.privatePEM.count))
        let privateKey = PEM_read_bio_PrivateKey(source, nil, nil, nil)
        let state = EVP_MD_CTX_new()
        defer {
            EVP_MD_CTX_free(state)
            EVP_PKEY_free(privateKey)
            BIO_free(source)
        }
        var digest: OpaquePointer? = EVP_sha256()
        if case .ed25519 = kind { digest = nil }
        var signature = [UInt8](repeating: 0, count: 1024)
        var count = signature.count
        guard EVP_DigestSignInit(state, nil, digest, nil, privateKey) == 1,
            EVP_DigestSign(state, &signature, &count, message, message.count) == 1
        else { fatalError("no signature") }
        return Array(signature[..<count])
    }

    /// HMAC-SHA-256, for attacks that use a public key as the secret.
    package static func hmac(_ message: String, secret: [UInt8]) -> [UInt8] {
        var code = [UInt8](repeating: 0, count: 32)
        var count: UInt32 = 0
        HMAC(EVP_sha256(), secret, Int32(secret.count), Array(message.utf8), message.utf8.count, &code, &count)
        return code
    }

    /// Whether the library's error queue of this thread is empty.
    package static var errorQueueIsEmpty: Bool { ERR_peek_error() == 0 }
}
