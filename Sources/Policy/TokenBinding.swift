// What a token is bound to: the claim `cnf` (RFC 7800), by which a stolen token is worth nothing without its owner's key.
import Bytes
import Configuration
import JOSE
import JSON

enum TokenBinding {
    case none
    /// SHA-256 of a client's certificate (RFC 8705 section 3.1).
    case certificate(SHA256Value)
    /// To something that is not shown here: a key of DPoP (RFC 9449 section 6.1), or what nobody knows.
    case other

    init(_ claims: borrowing VerifiedClaims, _ reader: inout JSONReader) {
        self = .none
        guard let confirmation = claims.confirmation else { return }
        self = .other
        guard confirmation.kind == .beginObject else { return }
        let object = claims.payload.extracting(confirmation.range)
        do throws(JSONError) {
            reader.begin()
            _ = try reader.next(object)
            let name = try reader.next(object)
            guard name.kind == .name, name.equals("x5t#S256", in: object) else { return }
            let value = try reader.next(object)
            var digest = ByteBuffer(capacity: 64)
            // One binding alone: of two, one would not be looked at.
            guard value.kind == .string, !value.isEscaped, try reader.next(object).kind == .endObject,
                Base64URL.decode(object.extracting(value.range), into: &digest), digest.count == 32
            else { return }
            self = .certificate(SHA256Value(digest.bytes))
        } catch {
            return
        }
    }
}

/// The certificate that a client has shown in its TLS handshake, by SHA-256.
package struct ClientCertificate: BitwiseCopyable, Sendable {
    package let isPresent: Bool
    let digest: SHA256Value

    package static var none: ClientCertificate { ClientCertificate() }

    private init() {
        isPresent = false
        digest = SHA256Value()
    }
    /// Of 32 bytes.
    package init(digest bytes: borrowing Span<UInt8>) {
        isPresent = true
        digest = SHA256Value(bytes)
    }
}

extension Authenticator {
    /// What a token is found by. One that is bound lies under its own hash and its owner's certificate's together, so that
    /// nobody finds it who does not show that certificate.
    mutating func key(
        _ key: SHA256Value, of claims: borrowing VerifiedClaims, provider id: SlotID
    ) throws(TokenRefusal) -> SHA256Value {
        let demand = providers[id].configuration.boundTokens
        if demand == .ignore { return key }
        switch TokenBinding(claims, &reader) {
        case .none:
            guard demand == .check else { throw .bindingMismatch }
            return key
        case .certificate(let wanted):
            guard certificate.isPresent, wanted == certificate.digest else { throw .bindingMismatch }
            return boundKey(key)
        case .other: throw .bindingMismatch
        }
    }
    /// The entry of a token that is good now, for whoever sent this request.
    mutating func find(_ key: SHA256Value, _ id: SlotID, now: Int64) -> SlotID? {
        if let entry = providers[id].find(key, now: now) { return entry }
        return certificate.isPresent ? providers[id].find(boundKey(key), now: now) : nil
    }
    private mutating func boundKey(_ key: SHA256Value) -> SHA256Value {
        text.clear()
        for word in [key.words.0, key.words.1, key.words.2, key.words.3] { text.append(word) }
        let shown = certificate.digest.words
        for word in [shown.0, shown.1, shown.2, shown.3] { text.append(word) }
        return digest.hash(text.bytes)
    }
}
