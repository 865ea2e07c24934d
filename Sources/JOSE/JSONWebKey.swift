// One key as a document describes it (RFC 7517), public or a shared secret: plain bytes that travel between threads.
import Bytes
package import JSON

package struct JSONWebKey: Sendable, Equatable {
    /// Big-endian numbers without leading zeros; coordinates in the curve's full width.
    package enum Material: Sendable, Equatable {
        case rsa(modulus: [UInt8], exponent: [UInt8])
        case ec(EllipticCurve, x: [UInt8], y: [UInt8])
        case ed25519([UInt8])
        case ed448([UInt8])
        /// `oct`: what an HMAC is keyed with. Never read from a document that others can see.
        case secret([UInt8])

        package var keyType: StaticString {
            switch self {
            case .rsa: "RSA"
            case .ec: "EC"
            case .ed25519, .ed448: "OKP"
            case .secret: "oct"
            }
        }
    }

    package var material: Material
    /// Nil: only tokens without `kid` can mean this key.
    package var id: String?
    /// The only algorithm the key is for; nil: every one that fits its type.
    package var algorithm: SignatureAlgorithm?

    package init(_ material: Material, id: String? = nil, algorithm: SignatureAlgorithm? = nil) {
        self.material = material
        self.id = id
        self.algorithm = algorithm
    }

    /// SHA-256 of the required members in their one canonical form, in base64url (RFC 7638 section 3). That of a secret helps
    /// to guess it (section 7), so it is shown to nobody.
    package var thumbprint: String {
        var writer = JSONWriter()
        writer.beginObject()
        switch material {
        case .rsa(let modulus, let exponent):
            writer.member("e", Base64URL.encode(exponent.span))
            writer.member("kty", "RSA")
            writer.member("n", Base64URL.encode(modulus.span))
        case .ec(let curve, let x, let y):
            writer.member("crv", "\(curve.name)")
            writer.member("kty", "EC")
            writer.member("x", Base64URL.encode(x.span))
            writer.member("y", Base64URL.encode(y.span))
        case .ed25519(let x), .ed448(let x):
            writer.member("crv", curveName)
            writer.member("kty", "OKP")
            writer.member("x", Base64URL.encode(x.span))
        case .secret(let bytes):
            writer.member("k", Base64URL.encode(bytes.span))
            writer.member("kty", "oct")
        }
        writer.endObject()
        return Base64URL.encode(SHA256().hash(writer.buffer.bytes).bytes.span)
    }

    /// The key as a member of a key set, `use` included.
    package func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.name("kty")
        writer.string(material.keyType)
        writer.member("use", "sig")
        if let algorithm { writer.member("alg", algorithm.name) }
        if let id { writer.member("kid", id) }
        switch material {
        case .rsa(let modulus, let exponent):
            writer.member("n", Base64URL.encode(modulus.span))
            writer.member("e", Base64URL.encode(exponent.span))
        case .ec(let curve, let x, let y):
            writer.member("crv", "\(curve.name)")
            writer.member("x", Base64URL.encode(x.span))
            writer.member("y", Base64URL.encode(y.span))
        case .ed25519(let x), .ed448(let x):
            writer.member("crv", curveName)
            writer.member("x", Base64URL.encode(x.span))
        case .secret: break  // what it is made of is written nowhere
        }
        writer.endObject()
    }

    private var curveName: String {
        if case .ed448 = material { "Ed448" } else { "Ed25519" }
    }
}

extension JSONWriter {
    mutating func member(_ name: StaticString, _ value: String) {
        self.name(name)
        string(value)
    }
}
