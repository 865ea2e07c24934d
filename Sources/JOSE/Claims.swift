// Claims before and after the signature was checked: two types, so that the compiler keeps them apart.
import Bytes
package import JSON

/// A token taken apart and decoded, that nobody vouches for. The one thing its claims are good for is choosing the keys they
/// are checked with.
package struct UnverifiedClaims: ~Copyable {
    /// Payload and signature, decoded, one behind the other.
    let decoded: ByteBuffer
    let payloadEnd: Int
    /// Where the parts lie in the token.
    let parts: CompactJWS

    private init(_ decoded: consuming ByteBuffer, payloadEnd: Int, _ parts: CompactJWS) {
        self.decoded = decoded
        self.payloadEnd = payloadEnd
        self.parts = parts
    }

    fileprivate init(document: borrowing Span<UInt8>) {
        var copy = ByteBuffer(capacity: document.count + 1)
        copy.append(document)
        self.init(copy, payloadEnd: document.count, .none)
    }

    /// Checks the token's size and shape, and decodes all but the header, which many tokens have in common.
    package static func decode(
        _ token: borrowing Span<UInt8>, maximumBytes: Int
    ) throws(TokenRefusal) -> UnverifiedClaims {
        let parts = try CompactJWS(token, maximumBytes: maximumBytes)
        var decoded = ByteBuffer(capacity: token.count * 3 / 4 + 16)
        guard Base64URL.decode(token.extracting(parts.payload), into: &decoded) else { throw .malformed }
        let payloadEnd = decoded.count
        guard Base64URL.decode(token.extracting(parts.signature), into: &decoded) else { throw .malformed }
        return UnverifiedClaims(decoded, payloadEnd: payloadEnd, parts)
    }

    var payload: Span<UInt8> { @_lifetime(borrow self) borrowing get { decoded.prefix(payloadEnd) } }
    var signature: Span<UInt8> { @_lifetime(borrow self) borrowing get { decoded.bytes.extracting(payloadEnd...) } }

    /// The `iss` that the token claims, when it can be read at all.
    package borrowing func issuer(_ reader: inout JSONReader) -> JSONEvent? {
        let document = payload
        var found: JSONEvent?
        do throws(JSONError) {
            reader.begin()
            guard try reader.next(document).kind == .beginObject else { return nil }
            var event = try reader.next(document)
            while event.kind == .name {
                let value = try reader.next(document)
                if value.kind == .string, event.equals("iss", in: document) { found = value }
                try reader.skip(value, document)
                event = try reader.next(document)
            }
        } catch {
            return nil
        }
        return found
    }

    package borrowing func issuer(_ event: JSONEvent, equals issuer: borrowing Span<UInt8>) -> Bool {
        event.equals(issuer, in: payload)
    }
}

/// Claims of a token whose signature, issuer, audience and times are good. Made by `TokenVerifier`, or of what
/// somebody vouches for by other means.
package struct VerifiedClaims: ~Copyable {
    private let claims: UnverifiedClaims
    /// A string that is not empty; nil when there is none and none is required.
    package let subject: JSONEvent?
    /// The value of `permissions`, whatever its type, with the range of the whole of it.
    package let permissions: JSONEvent?
    /// The value of `cnf`: what the token is bound to.
    package let confirmation: JSONEvent?
    /// Wall-clock seconds from which and up to which the token is good, `leeway` included.
    package let goodFrom: Int64
    package let goodUntil: Int64
    /// The whole second in which the token says that it was issued.
    package let issuedAt: Int64?
    /// Which key of the key set signed it.
    package let keySerial: UInt32

    /// The decoded payload, in which the events lie.
    package var payload: Span<UInt8> { @_lifetime(borrow self) borrowing get { claims.payload } }

    /// Claims in a document that needs no signature: a service that is trusted said it, or it stands in a file of ours.
    package init(
        vouchedFor document: borrowing Span<UInt8>, _ rules: borrowing TokenRules, now: Int64,
        _ reader: inout JSONReader
    ) throws(TokenRefusal) {
        let registered = try RegisteredClaims(document, rules, now: now, &reader)
        self.init(UnverifiedClaims(document: document), registered, key: 0)
    }

    init(_ claims: consuming UnverifiedClaims, _ registered: RegisteredClaims, key: UInt32) {
        self.claims = claims
        subject = registered.subject
        permissions = registered.permissions
        confirmation = registered.confirmation
        goodFrom = registered.goodFrom
        goodUntil = registered.goodUntil
        issuedAt = registered.issueSecond
        keySerial = key
    }
}
