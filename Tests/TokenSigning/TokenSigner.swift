// Signs tokens as an issuer would, and as an attacker would: any header, any payload, any bytes.
import Bytes
import COpenSSL
package import JOSE

package struct TokenSigner: Sendable {
    package let key: GeneratedKey
    private let kind: KeyGenerator.Kind
    /// What its tokens are signed with.
    package let signatureAlgorithm: SignatureAlgorithm

    package init(_ kind: KeyGenerator.Kind) {
        do { self.init(kind, try KeyGenerator.generate(kind)) } catch { fatalError("no key: \(error)") }
    }

    private init(_ kind: KeyGenerator.Kind, _ key: GeneratedKey, _ algorithm: SignatureAlgorithm? = nil) {
        self.kind = kind
        self.key = key
        signatureAlgorithm =
            switch kind {
            case .rsa: algorithm ?? .rs256
            case .ec(.p256): .es256
            case .ec(.p384): .es384
            case .ec(.p521): .es512
            case .ed25519: .eddsa
            }
    }

    /// One key of each kind for a whole test run: making RSA keys takes time.
    package static let rsa = TokenSigner(.rsa(bits: 2048))
    package static let otherRSA = TokenSigner(.rsa(bits: 2048))
    package static let ec = TokenSigner(.ec(.p256))
    package static let p384 = TokenSigner(.ec(.p384))
    package static let p521 = TokenSigner(.ec(.p521))
    package static let edwards = TokenSigner(.ed25519)

    /// The same RSA key, signing otherwise.
    package func signing(_ algorithm: SignatureAlgorithm) -> TokenSigner { TokenSigner(kind, key, algorithm) }

    package var algorithm: String { signatureAlgorithm.name }
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

    /// In the form of RFC 7518: an ECDSA signature as two numbers side by side.
    package func signature(of message: [UInt8]) -> [UInt8] {
        let der = derSignature(of: message)
        guard case .ec(let curve) = kind else { return der }
        let width = [EllipticCurve.p256: 32, .p384: 48, .p521: 66][curve] ?? 0
        var at = der[1] == 0x81 ? 3 : 2
        var raw: [UInt8] = []
        for _ in 0..<2 {
            let count = Int(der[at + 1])
            let number = der[at + 2..<at + 2 + count].drop { $0 == 0 }
            raw += [UInt8](repeating: 0, count: width - number.count) + number
            at += 2 + count
        }
        return raw
    }

    /// As the library gives it. `salt` and `mask` are for PS256 and its kin, when they are to be wrong: the bytes of the salt,
    /// and of the hash that the mask is made with.
    package func derSignature(of message: [UInt8], salt: Int? = nil, mask: Int? = nil) -> [UInt8] {
        let source = BIO_new(BIO_s_mem())
        BIO_write(source, key.privatePEM, Int32(key.privatePEM.count))
        let privateKey = PEM_read_bio_PrivateKey(source, nil, nil, nil)
        let state = EVP_MD_CTX_new()
        defer {
            EVP_MD_CTX_free(state)
            EVP_PKEY_free(privateKey)
            BIO_free(source)
        }
        let bytes = signatureAlgorithm.digestBytes
        var signature = [UInt8](repeating: 0, count: 1024)
        var count = signature.count
        var parameters: OpaquePointer?
        guard EVP_DigestSignInit(state, &parameters, bytes == 0 ? nil : co_digest(bytes), nil, privateKey) == 1 else {
            fatalError("no signature")
        }
        if [.ps256, .ps384, .ps512].contains(signatureAlgorithm) {
            EVP_PKEY_CTX_set_rsa_padding(parameters, CO_PSS)
            EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, Int32(salt ?? bytes))
            EVP_PKEY_CTX_set_rsa_mgf1_md(parameters, co_digest(mask ?? bytes))
        }
        guard EVP_DigestSign(state, &signature, &count, message, message.count) == 1 else { fatalError("no signature") }
        return Array(signature[..<count])
    }

    /// HMAC with a hash of so many bytes, by who knows the secret, or takes a public key for one.
    package static func hmac(_ message: String, secret: [UInt8], bytes: Int = 32) -> [UInt8] {
        var code = [UInt8](repeating: 0, count: 64)
        var count: UInt32 = 0
        HMAC(co_digest(bytes), secret, Int32(secret.count), Array(message.utf8), message.utf8.count, &code, &count)
        return Array(code[..<Int(count)])
    }

    /// A token with such a tag.
    package static func hmacToken(
        _ algorithm: SignatureAlgorithm, secret: [UInt8], header more: String = "", _ payload: String
    ) -> String {
        let signed = encode("{\"alg\":\"\(algorithm.name)\"\(more)}") + "." + encode(payload)
        return signed + "." + encode(hmac(signed, secret: secret, bytes: algorithm.digestBytes))
    }

    /// Whether the library's error queue of this thread is empty.
    package static var errorQueueIsEmpty: Bool { ERR_peek_error() == 0 }
}
