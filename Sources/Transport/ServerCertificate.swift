// A certificate, its intermediates and its private key: read once, used by the TLS settings of every worker, because reading
// a key costs OpenSSL more than all the rest of such settings.
// Owns the certificates and the key and frees them in deinit; OpenSSL counts who else holds them, from any thread.
import COpenSSL

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

    /// Makes it what connections with these settings show.
    func use(in context: OpaquePointer) throws(TLSError) {
        guard unsafe co_use_chain(context, chain) == 1 else { throw .last(of: .certificate) }
        guard unsafe SSL_CTX_use_PrivateKey(context, key) == 1 else { throw .last(of: .privateKey) }
    }
}
