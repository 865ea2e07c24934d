// A private key of our own, and the tokens that it signs (RFC 7515 section 5.1).
package import Bytes
import JSON

package struct SigningKey: ~Copyable {
    /// Its public half, named by its thumbprint.
    package let described: JSONWebKey
    package let algorithm: SignatureAlgorithm
    private let key: PublicKey
    /// The header of every token and the dot behind it.
    private let header: [UInt8]

    private init(_ key: consuming PublicKey, _ described: JSONWebKey, _ algorithm: SignatureAlgorithm, _ type: String) {
        self.described = described
        self.algorithm = algorithm
        self.key = key
        var writer = JSONWriter(capacity: 128)
        writer.beginObject()
        writer.member("alg", algorithm.name)
        writer.member("typ", type)
        if let id = described.id { writer.member("kid", id) }
        writer.endObject()
        header = Array(Base64URL.encode(writer.buffer.bytes).utf8) + [UInt8(ascii: ".")]
    }

    /// Reads a private key in PEM. `type` is the `typ` of its tokens; RSA keys sign with RS256, the others with the one algorithm
    /// that they have.
    package static func read(pem: [UInt8], type: String = "JWT") throws(JOSEError) -> SigningKey {
        guard let key = PublicKey.readingPrivate(pem) else { throw .noPrivateKey }
        guard let material = key.material,
            let algorithm = SignatureAlgorithm.asymmetric.first(where: { $0.fits(material) })
        else { throw .unusable("a key that is neither RSA, P-256, P-384, P-521, Ed25519 nor Ed448") }
        var described = JSONWebKey(material, algorithm: algorithm)
        if let reason = described.unusableReason { throw .unusable(reason) }
        described.id = described.thumbprint
        return SigningKey(key, described, algorithm, type)
    }

    /// Appends a token with that payload; false, and nothing appended, when the library could not sign it.
    package borrowing func appendToken(_ payload: borrowing Span<UInt8>, to out: inout ByteBuffer) -> Bool {
        let message = header + Array(Base64URL.encode(payload).utf8)
        var width = 0
        if case .ec(let curve, _, _) = described.material { width = curve.width }
        let signature = key.signature(of: message, by: algorithm, width: width)
        guard !signature.isEmpty else { return false }
        out.append(message.span)
        out.append(byte: UInt8(ascii: "."))
        out.append(Array(Base64URL.encode(signature.span).utf8).span)
        return true
    }
}
