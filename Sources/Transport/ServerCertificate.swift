// A certificate, its intermediates and its private key: read once, used by the TLS settings of every worker, because reading
// a key costs OpenSSL more than all the rest of such settings.
// Owns the certificates and the key and frees them in deinit; OpenSSL counts who else holds them, from any thread.
import COpenSSL

/// An OCSP response that says a certificate is good.
package struct Staple: Sendable {
    /// DER.
    let response: [UInt8]
    /// Seconds since 1970.
    let end: Int64
}

/// Why an OCSP response is not one for a certificate.
package enum StapleError: Error { case malformed, forSomebodyElse, signature, expired, revoked, unknown }

@safe package final class ServerCertificate: @unchecked Sendable {
    private let chain: OpaquePointer
    private let key: OpaquePointer

    private init(chain: OpaquePointer, key: OpaquePointer) {
        unsafe self.chain = unsafe chain
        unsafe self.key = unsafe key
    }
    deinit {
        unsafe co_free_chain(chain)
        unsafe EVP_PKEY_free(key)
    }

    /// Both in PEM; the certificate's file holds the leaf first, then its intermediates.
    package static func reading(certificate: [UInt8], privateKey: [UInt8]) throws(TLSError) -> ServerCertificate {
        let chain = unsafe certificate.withUnsafeBytes { bytes in
            unsafe co_read_chain(bytes.baseAddress, Int32(bytes.count))
        }
        guard let chain = unsafe chain else { throw .last(of: .certificate) }
        let key = unsafe privateKey.withUnsafeBytes { bytes in
            unsafe co_read_key(bytes.baseAddress, Int32(bytes.count))
        }
        guard let key = unsafe key else {
            let error = TLSError.last(of: .privateKey)
            unsafe co_free_chain(chain)
            throw error
        }
        let read = unsafe ServerCertificate(chain: chain, key: key)
        guard unsafe co_is_key_of(chain, key) == 1 else { throw .last(of: .privateKey) }
        return read
    }

    /// A client is shown one certificate of each kind, by what it can check.
    package var kind: Kind {
        switch unsafe EVP_PKEY_get_base_id(key) {
        case EVP_PKEY_RSA: .rsa
        case EVP_PKEY_EC: .ecdsa
        default: .other
        }
    }
    package enum Kind: String, Sendable { case rsa = "RSA", ecdsa = "ECDSA", other = "EdDSA or another" }

    /// What the response says of this certificate.
    package func staple(_ response: [UInt8]) throws(StapleError) -> Staple {
        var end: Int64 = 0
        let code = unsafe response.withUnsafeBytes { bytes in
            unsafe co_read_staple(chain, bytes.baseAddress, Int32(bytes.count), &end)
        }
        switch code {
        case 1: return Staple(response: response, end: end)
        case 0: throw .forSomebodyElse
        case -2: throw .signature
        case -3: throw .expired
        case -4: throw .revoked
        case -5: throw .unknown
        default: throw .malformed
        }
    }

    /// Makes it one of those that connections with these settings show.
    func use(in context: OpaquePointer, _ staple: Staple?) throws(TLSError) {
        guard unsafe co_use_chain(context, chain) == 1 else { throw .last(of: .certificate) }
        guard unsafe SSL_CTX_use_PrivateKey(context, key) == 1 else { throw .last(of: .privateKey) }
        guard let staple else { return }
        let leaf = unsafe co_leaf(chain)
        _ = unsafe staple.response.withUnsafeBytes { bytes in
            unsafe co_add_staple(context, leaf, bytes.baseAddress, Int32(bytes.count), staple.end)
        }
    }
    /// Appends the fingerprint of what is shown.
    func appendIdentity(to out: inout [UInt8]) {
        var digest = [UInt8](repeating: 0, count: 32)
        if unsafe co_leaf_digest(chain, &digest) == 1 { out += digest }
    }
}
