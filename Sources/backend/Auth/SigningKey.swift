// Keys that sign tokens and keys that verify them: pairs in PEM with the JWK of their public half, and secrets without one.
import Foundation
import JWTKit

/// A key that verifies tokens, with the only algorithm it may be used for (RFC 8725 §3.1).
struct VerificationKey: Sendable {
    /// One time that a key was read. Two secrets may have the same name, one after the other: a name does not say which.
    final class Reading: Sendable, Equatable {
        static func == (one: Reading, other: Reading) -> Bool { one === other }
    }

    let reading: Reading
    /// The `kid` of its tokens: the thumbprint of a public key, the given name of a secret.
    let id: String
    /// The `alg` of its tokens.
    let algorithmName: String
    /// What the world may see of it; a secret has nothing to show.
    let jwk: PublicJWK?
    /// The same as `init(pem:)` reads it.
    let publicPEM: String?
    let algorithm: any JWTAlgorithm

    /// Reads an RSA (2048 bits or more), P-256 or Ed25519 public key.
    init(pem: String) async throws(StartupFailure) {
        if let key = try? EdDSA.PublicKey(pem: pem) {
            self = try await Self(key)
        } else if let key = try? ES256PublicKey(pem: pem) {
            self = try await Self(key)
        } else if let key = try? Insecure.RSA.PublicKey(pem: pem) {
            self = try await Self(key)
        } else {
            throw StartupFailure("this is not the PEM of a public key: RSA of 2048 bits or more, P-256 or Ed25519")
        }
    }

    fileprivate init(_ key: EdDSA.PublicKey) async throws(StartupFailure) {
        try await self.init(.ed25519(key.rawRepresentation), key.pemRepresentation) {
            await $0.add(eddsa: key, kid: $1)
        }
    }

    fileprivate init(_ key: ES256PublicKey) async throws(StartupFailure) {
        guard let point = key.parameters, let x = Data(base64Encoded: point.x), let y = Data(base64Encoded: point.y)
        else { throw StartupFailure("the P-256 key has no coordinates") }
        try await self.init(.p256(x: x, y: y), key.pemRepresentation) { await $0.add(ecdsa: key, kid: $1) }
    }

    fileprivate init(_ key: Insecure.RSA.PublicKey) async throws(StartupFailure) {
        guard let numbers = try? key.getKeyPrimitives() else { throw StartupFailure("the RSA key has no modulus") }
        let jwk = PublicJWK.rsa(modulus: numbers.modulus, exponent: numbers.publicExponent)
        try await self.init(jwk, key.pemRepresentation) {
            await $0.add(rsa: key, digestAlgorithm: .sha256, kid: $1)
        }
    }

    /// The same secret signs and verifies (RFC 7518 §3.2).
    fileprivate init(_ secret: SigningSecret) async throws(StartupFailure) {
        try await self.init(id: secret.name, algorithmName: "HS256", jwk: nil, publicPEM: nil) {
            await $0.add(hmac: HMACKey(from: secret.bytes), digestAlgorithm: .sha256, kid: $1)
        }
    }

    private init(
        _ jwk: PublicJWK, _ publicPEM: String, register: (JWTKeyCollection, JWKIdentifier) async -> Void
    ) async throws(StartupFailure) {
        try await self.init(
            id: jwk.thumbprint, algorithmName: jwk.alg, jwk: jwk, publicPEM: publicPEM, register: register)
    }

    private init(
        id: String, algorithmName: String, jwk: PublicJWK?, publicPEM: String?,
        register: (JWTKeyCollection, JWKIdentifier) async -> Void
    ) async throws(StartupFailure) {
        let keys = JWTKeyCollection()
        let kid = JWKIdentifier(string: id)
        await register(keys, kid)
        guard let algorithm = try? await keys.getKey(for: kid) else { throw StartupFailure("the key cannot verify") }
        reading = Reading()
        self.id = id
        self.algorithmName = algorithmName
        self.jwk = jwk
        self.publicPEM = publicPEM
        self.algorithm = algorithm
    }
}

/// A private key or a secret that signs tokens.
struct SigningKey: Sendable {
    let verification: VerificationKey
    private let signature: @Sendable ([UInt8]) throws -> [UInt8]
    /// The header of every token of this key, encoded, with the dot behind it.
    private let head: String

    /// The `typ` of access tokens (RFC 9068 §2.1).
    static let accessTokenType = "at+jwt"

    /// Reads an RSA (2048 bits or more), P-256 or Ed25519 private key.
    init(pem: String) async throws(StartupFailure) {
        if let key = try? EdDSA.PrivateKey(pem: pem) {
            try await self.init(VerificationKey(key.publicKey)) { await $0.add(eddsa: key, kid: $1) }
        } else if let key = try? ES256PrivateKey(pem: pem) {
            try await self.init(VerificationKey(key.publicKey)) { await $0.add(ecdsa: key, kid: $1) }
        } else if let key = try? Insecure.RSA.PrivateKey(pem: pem), let signer = RSAPrivateKey(pem: pem) {
            try await self.init(VerificationKey(key.publicKey)) { message in
                guard let signature = signer.signature(of: message) else { throw Problem.signingUnavailable }
                return signature
            }
        } else {
            throw StartupFailure("this is not the PEM of a private key: RSA of 2048 bits or more, P-256 or Ed25519")
        }
    }

    init(secret: SigningSecret, type: String = accessTokenType) async throws(StartupFailure) {
        try await self.init(VerificationKey(secret), type: type) {
            await $0.add(hmac: HMACKey(from: secret.bytes), digestAlgorithm: .sha256, kid: $1)
        }
    }

    private init(
        _ verification: VerificationKey, type: String = accessTokenType,
        register: (JWTKeyCollection, JWKIdentifier) async -> Void
    ) async throws(StartupFailure) {
        let keys = JWTKeyCollection()
        let kid = JWKIdentifier(string: verification.id)
        await register(keys, kid)
        guard let algorithm = try? await keys.getKey(for: kid) else { throw StartupFailure("the key cannot sign") }
        self.init(verification, type: type) { try algorithm.sign($0) }
    }

    private init(
        _ verification: VerificationKey, type: String = accessTokenType,
        signature: @escaping @Sendable ([UInt8]) throws -> [UInt8]
    ) {
        self.verification = verification
        self.signature = signature
        var header = JSONWriter(capacity: 128)
        header.member("alg", verification.algorithmName)
        header.member("kid", verification.id)
        header.member("typ", type)
        head = Base64URL.encode(header.finish()) + "."
    }

    /// The compact JWS of the claims (RFC 7515 §7.1).
    func sign(_ claims: [UInt8]) throws -> String {
        let signed = head + Base64URL.encode(claims)
        return "\(signed).\(Base64URL.encode(try signature(Array(signed.utf8))))"
    }
}
