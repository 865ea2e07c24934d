// One EVP_PKEY with one owner: imported from, generated, or read from PEM. Frees it in deinit; pointers of arrays are used
// within one call.
import COpenSSL

@safe struct PublicKey: ~Copyable {
    let pointer: OpaquePointer

    private init(_ pointer: OpaquePointer) { unsafe self.pointer = unsafe pointer }
    deinit { unsafe EVP_PKEY_free(pointer) }

    /// Nil when the numbers are no key: a point off the curve, for example (RFC 7518 section 6.2.1).
    static func importing(_ material: JSONWebKey.Material) -> PublicKey? {
        switch material {
        case .rsa(let modulus, let exponent):
            return unsafe adopt(co_rsa_key(modulus, modulus.count, exponent, exponent.count))
        case .ec(let curve, let x, let y):
            guard x.count == curve.width, y.count == curve.width else { return nil }
            return unsafe adopt(co_ec_key(curve.width, [4] + x + y))
        case .ed25519(let x):
            return unsafe adopt(co_edwards_key(CO_ED25519, x, x.count))
        case .ed448(let x):
            return unsafe adopt(co_edwards_key(CO_ED448, x, x.count))
        case .secret: return nil
        }
    }

    static func generating(_ kind: KeyGenerator.Kind) -> PublicKey? {
        switch kind {
        case .rsa(let bits): unsafe adopt(co_generate_rsa(bits))
        case .ec(let curve): unsafe adopt(co_generate_ec(curve.width))
        case .ed25519: unsafe adopt(co_generate_ed25519())
        }
    }

    /// A private key in PEM, which has its public half with it; nil when there is none, or one that needs a passphrase.
    static func readingPrivate(_ pem: [UInt8]) -> PublicKey? {
        guard pem.count <= JSONWebKeySet.maximumBytes else { return nil }
        return unsafe adopt(co_read_private(pem, pem.count))
    }

    /// The JWS signature of a message, by a private key; empty when that did not work.
    func signature(of message: [UInt8], by algorithm: SignatureAlgorithm, width: Int) -> [UInt8] {
        // 8192 bits of RSA are 1 KiB.
        unsafe Array(unsafeUninitializedCapacity: 1024) { out, count in
            unsafe count = co_sign(
                pointer, algorithm.digestBytes, width, message, message.count, out.baseAddress, out.count)
        }
    }

    /// What a PEM file holds, block by block.
    static func readPEM(_ pem: [UInt8]) throws(JOSEError) -> [JSONWebKey.Material] {
        guard pem.count <= JSONWebKeySet.maximumBytes else { throw .tooLarge(bytes: pem.count) }
        // The BIO reads from its own copy, so nothing depends on how long the array's pointer lives.
        guard let source = unsafe BIO_new(BIO_s_mem()) else { throw .notPEM }
        defer { unsafe _ = BIO_free(source) }
        guard unsafe BIO_write(source, pem, Int32(pem.count)) == Int32(pem.count) else { throw .notPEM }
        var found: [JSONWebKey.Material] = []
        while true {
            var status: Int32 = 0
            let pointer = unsafe co_next_public_key(source, &status)
            if status == 1 { break }
            if status == 2 { throw .notPEM }
            if status == 3 { throw .privateKey }
            guard let key = unsafe adopt(pointer) else { continue }
            guard let material = key.material else {
                throw .unusable("a key that is neither RSA, P-256, P-384, P-521, Ed25519 nor Ed448")
            }
            found.append(material)
        }
        guard !found.isEmpty else { throw .notPEM }
        return found
    }

    private static func adopt(_ pointer: OpaquePointer?) -> PublicKey? {
        guard let pointer = unsafe pointer else { return nil }
        return unsafe PublicKey(pointer)
    }

    /// The public numbers; nil for a kind of key that no algorithm here uses.
    var material: JSONWebKey.Material? {
        switch unsafe co_key_kind(pointer) {
        case 1: .rsa(modulus: number(0, width: 0), exponent: number(1, width: 0))
        case 2: .ed25519(edwardsBytes())
        case 3: .ed448(edwardsBytes())
        case 32: point(on: .p256)
        case 48: point(on: .p384)
        case 66: point(on: .p521)
        default: nil
        }
    }

    func pem(isPrivate: Bool) -> [UInt8] {
        // 8192-bit RSA as PKCS#8 takes 6.4 KB.
        unsafe Array(unsafeUninitializedCapacity: 16384) { out, count in
            unsafe count = co_write_pem(pointer, isPrivate ? 1 : 0, out.baseAddress, out.count)
        }
    }

    private func point(on curve: EllipticCurve) -> JSONWebKey.Material {
        .ec(curve, x: number(2, width: curve.width), y: number(3, width: curve.width))
    }

    private func number(_ which: Int32, width: Int) -> [UInt8] {
        // 16384 bits: the largest modulus the library reads.
        unsafe Array(unsafeUninitializedCapacity: 2048) { out, count in
            unsafe count = co_key_number(pointer, which, width, out.baseAddress, out.count)
        }
    }

    private func edwardsBytes() -> [UInt8] {
        unsafe Array(unsafeUninitializedCapacity: 64) { out, count in
            unsafe count = co_edwards_bytes(pointer, out.baseAddress, out.count)
        }
    }
}
