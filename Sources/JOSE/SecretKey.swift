// One secret that an issuer shares with us (RFC 7518 section 3.2). It is a type of its own, so that no public key ever meets the
// code of an HMAC. Owns the OpenSSL contexts and frees them in deinit; pointers of spans are used within one call.
import Bytes
import COpenSSL
import JSON

/// A class, because key sets share and keep keys when they are replaced.
@safe final class SecretKey {
    let described: JSONWebKey
    /// `kid` as it stands in a token.
    let id: [UInt8]?
    /// Names this key as the serial of a public key does.
    let serial: UInt32
    /// One for each of HS256, HS384 and HS512, made when it is first wanted.
    private var contexts = unsafe InlineArray<3, OpaquePointer?>(repeating: nil)

    /// Nil for everything but a secret.
    init?(_ described: JSONWebKey, serial: UInt32) {
        guard case .secret = described.material else { return nil }
        self.described = described
        self.serial = serial
        id = described.id.map { Array($0.utf8) }
    }
    deinit {
        for i in 0..<3 { unsafe EVP_MAC_CTX_free(contexts[i]) }
    }

    /// Whether tags of that algorithm can be this key's: a secret shorter than the hash is none (RFC 7518 section 3.2).
    func fits(_ requested: RequestedAlgorithm) -> Bool {
        if let only = described.algorithm, only.rawValue != requested.algorithm.rawValue { return false }
        return requested.algorithm.fits(described.material)
    }

    /// Whether `tag` is the HMAC of `message`; the key fits the algorithm.
    func verify(
        _ tag: borrowing Span<UInt8>, of message: borrowing Span<UInt8>, _ algorithm: SignatureAlgorithm
    ) -> Bool {
        guard tag.count == algorithm.digestBytes, let context = unsafe context(algorithm) else { return false }
        return unsafe tag.withUnsafeBufferPointer { t in
            unsafe message.withUnsafeBufferPointer { m in
                unsafe co_hmac_verify(context, m.baseAddress, m.count, t.baseAddress, t.count) == 1
            }
        }
    }

    private func context(_ algorithm: SignatureAlgorithm) -> OpaquePointer? {
        guard algorithm.isSymmetric, case .secret(let bytes) = described.material else { return nil }
        let slot = Int(algorithm.rawValue - SignatureAlgorithm.hs256.rawValue)
        if unsafe contexts[slot] == nil {
            unsafe contexts[slot] = unsafe co_hmac(bytes, bytes.count, algorithm.digestBytes)
        }
        return unsafe contexts[slot]
    }
}
