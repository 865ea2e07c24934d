// Where the signing key comes from: a PEM file that only its owner may read.

struct SigningKeyProvider: Sendable {
    let privateKeyPath: String
    let publicKeyPath: String

    /// The signing key; it must be private to its owner and belong to the published public key.
    func signingKey() async throws(StartupFailure) -> SigningKey {
        try FileReading.requirePrivate(privateKeyPath)
        let key = try await Self.read(privateKeyPath) { (pem) async throws(StartupFailure) in
            try await SigningKey(pem: pem)
        }
        // With halves of two pairs every token that we sign would be refused by whoever verifies it.
        guard try await verificationKey().jwk == key.verification.jwk else {
            throw StartupFailure("\(publicKeyPath) is not the public half of \(privateKeyPath)")
        }
        return key
    }

    /// The public key, read on its own: the resource service never sees the private one.
    func verificationKey() async throws(StartupFailure) -> VerificationKey {
        try await Self.read(publicKeyPath) { (pem) async throws(StartupFailure) in try await VerificationKey(pem: pem) }
    }

    private static func read<Key>(
        _ path: String, _ parse: (String) async throws(StartupFailure) -> Key
    ) async throws(StartupFailure) -> Key {
        let pem = String(decoding: try FileReading.bytes(of: path), as: UTF8.self)
        do throws(StartupFailure) {
            return try await parse(pem)
        } catch {
            throw StartupFailure("\(path): \(error)")
        }
    }
}
