// Which claims of a provider's tokens can be revoked, and the facts of one verified token.
import Bytes
import Configuration
import JOSE
import JSON

struct RevocationPlan {
    /// Of several claims for one thing the first that is there counts.
    private let token: [ClaimNamePath]
    private let tokenKind: RevocationKind
    private let session: [ClaimNamePath]
    private let subject: [ClaimNamePath]
    private let client: [ClaimNamePath]
    private static let issuer = ClaimNamePath(["iss"])

    init(_ names: ClaimNames, _ kind: ProviderKind) {
        let isKey = kind == .apiKey
        token = (isKey ? [ClaimPath("api_key_id")] : names.tokenID).map { ClaimNamePath($0.names) }
        tokenKind = isKey ? .apiKey : .tokenID
        session = names.session.map { ClaimNamePath($0.names) }
        subject = names.subject.map { ClaimNamePath($0.names) }
        client = names.client.map { ClaimNamePath($0.names) }
    }

    /// - Parameters:
    ///   - keyID: of the key that made the signature, which the token need not name.
    ///   - finder: is at their payload.
    ///   - text: scratch.
    func facts(
        of claims: borrowing VerifiedClaims, keyID: [UInt8]?, _ keys: inout RevocationKeys,
        _ finder: inout ClaimFinder, _ reader: inout JSONReader, _ text: inout ByteBuffer
    ) -> RevocationFacts {
        var facts = RevocationFacts()
        if let issuedAt = claims.issuedAt { facts.issuedAt = issuedAt }
        text.clear()
        // Without `iss` (a provider with `issuer off`) it is nobody's: the empty text.
        if let issuer = finder.find(Self.issuer, in: claims.payload, &reader), issuer.kind == .string {
            issuer.appendText(of: claims.payload, to: &text)
        }
        keys.begin(issuer: text.bytes)
        facts.token = Self.key(tokenKind, token, claims, &keys, &finder, &reader, &text)
        facts.session = Self.key(.session, session, claims, &keys, &finder, &reader, &text)
        facts.subject = Self.key(.subject, subject, claims, &keys, &finder, &reader, &text)
        facts.client = Self.key(.client, client, claims, &keys, &finder, &reader, &text)
        if let keyID { facts.signingKey = keys.key(.signingKey, keyID.span) }
        return facts
    }

    private static func key(
        _ kind: RevocationKind, _ paths: [ClaimNamePath], _ claims: borrowing VerifiedClaims,
        _ keys: inout RevocationKeys, _ finder: inout ClaimFinder, _ reader: inout JSONReader,
        _ text: inout ByteBuffer
    ) -> RevocationKey {
        for i in paths.indices {
            guard let value = finder.find(paths[i], in: claims.payload, &reader), value.kind == .string,
                !value.range.isEmpty
            else { continue }
            text.clear()
            value.appendText(of: claims.payload, to: &text)
            return keys.key(kind, text.bytes)
        }
        return .none
    }
}
