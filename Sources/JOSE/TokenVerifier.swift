// Verifies compact tokens in the one order that is safe: shape, header, key, signature, and only then what is claimed.
import Bytes
import JSON

package struct TokenVerifier: ~Copyable {
    /// Scratch of a worker, so that reading a token's JSON allocates nothing.
    private var reader = JSONReader()
    private var headers = HeaderMemory()
    /// Signatures that were checked, good or bad.
    package private(set) var verifications: UInt64 = 0
    /// Which key was unknown when the last token was refused for that; nil when no key can have its name.
    package private(set) var unknownKeyID: SHA256Value?

    package init() {}

    /// Who the token says issued it: good for nothing but choosing a provider.
    package mutating func claimsIssuer(_ claims: borrowing UnverifiedClaims, _ issuer: borrowing Span<UInt8>) -> Bool {
        guard let event = claims.issuer(&reader) else { return false }
        return claims.issuer(event, equals: issuer)
    }

    /// The claims of `token`, which `claims` was made of, or the first thing that is wrong with it. `now` in wall-clock seconds.
    package mutating func verify(
        _ claims: consuming UnverifiedClaims, of token: borrowing Span<UInt8>, keys: borrowing KeySet,
        rules: borrowing TokenRules, digest: borrowing SHA256, now: Int64
    ) throws(TokenRefusal) -> VerifiedClaims {
        let header = try headers.read(token.extracting(claims.parts.header), &reader)
        let algorithm = try header.check(rules, headers.text)
        guard !claims.signature.isEmpty else { throw .signatureMissing }
        verifications += 1
        let key: UInt32
        do throws(TokenRefusal) {
            key = try keys.verify(
                claims, header.keyID, in: headers.text, algorithm, token.extracting(0..<claims.parts.signedCount),
                digest)
        } catch {
            unknownKeyID = nil
            if error == .keyUnknown, case .text(let id) = header.keyID {
                unknownKeyID = digest.hash(headers.text.extracting(id.range))
            }
            throw error
        }
        let registered = try RegisteredClaims(claims.payload, rules, now: now, &reader)
        return VerifiedClaims(claims, registered, key: key)
    }
}
