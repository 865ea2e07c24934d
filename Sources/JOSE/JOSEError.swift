// Why a document with keys was refused, in words for the person who wrote it.

package enum JOSEError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A key set is larger than 256 KiB.
    case tooLarge(bytes: Int)
    /// More than 64 keys.
    case tooManyKeys
    case notJSON
    /// The same member twice: readers would disagree which key is meant.
    case duplicateMember
    /// JSON, but not an object with an array `keys` (RFC 7517 section 5).
    case notKeySet
    case notPEM
    /// A private key where only public ones belong.
    case privateKey
    /// No private key where one is needed.
    case noPrivateKey
    /// A key that can be read but not used, and why.
    case unusable(String)
    case generation

    package var description: String {
        switch self {
        case .tooLarge(let bytes): "a key set of \(bytes) bytes is larger than 262144"
        case .tooManyKeys: "a key set may hold at most 64 keys"
        case .notJSON: "not valid JSON"
        case .duplicateMember: "JSON with the same member twice"
        case .notKeySet: "not a JWK Set: an object with an array \"keys\" is expected"
        case .notPEM: "neither a PEM public key nor a certificate"
        case .privateKey: "holds a private key; give the gateway the public one"
        case .noPrivateKey: "holds no private key in PEM that needs no passphrase"
        case .unusable(let reason): reason
        case .generation: "the key could not be generated"
        }
    }
}
