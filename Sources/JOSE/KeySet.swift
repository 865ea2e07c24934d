// The keys of one provider, imported by and for one worker: found by `kid` and algorithm, and there is no default key.
import Bytes
import JSON

package struct KeySet: ~Copyable {
    /// A token without `kid` may be tried with this many keys (an issuer that rotates without names has two or three); bounds
    /// what one bad token can cost.
    static let maximumTries = 8

    private var keys: [VerifyingKey] = []
    /// `kid` of keys that verify nothing, as they stand in a token.
    private var foreignIDs: [[UInt8]] = []
    private var nextSerial: UInt32 = 0
    /// Counts the replacements that withdrew a key.
    package private(set) var generation: UInt32 = 0
    /// False while a source of keys has never answered: an unknown `kid` may then be a good one.
    package var isComplete = true

    package init() {}

    package var count: Int { keys.count }

    /// Takes over `set`. Keys that are in it and were there before keep their serial, so what they signed stays believed.
    package mutating func replace(with set: JSONWebKeySet) {
        foreignIDs = set.foreignIDs.map { Array($0.utf8) }
        var kept: [VerifyingKey] = []
        for described in set.keys where !kept.contains(where: { $0.described == described }) {
            if let known = keys.first(where: { $0.described == described }) {
                kept.append(known)
            } else if let new = VerifyingKey(described, serial: nextSerial) {
                nextSerial &+= 1
                kept.append(new)
            }
        }
        let isWithdrawn = keys.contains { old in !kept.contains { $0 === old } }
        if isWithdrawn { generation &+= 1 }
        keys = kept
    }

    /// Whether the key of that serial is still there.
    package func contains(serial: UInt32) -> Bool { keys.contains { $0.serial == serial } }

    /// The serial of the key that made the signature, or why there is none. `header` is where the key's name lies.
    borrowing func verify(
        _ claims: borrowing UnverifiedClaims, _ keyID: TokenHeader.KeyID, in header: borrowing Span<UInt8>,
        _ algorithm: RequestedAlgorithm, _ signed: borrowing Span<UInt8>, _ digest: borrowing SHA256
    ) throws(TokenRefusal) -> UInt32 {
        var named = 0
        var tried = 0
        var hash = SHA256Value()
        for i in keys.indices where Self.matches(keys[i], keyID, header) {
            named += 1
            guard tried < Self.maximumTries, keys[i].fits(algorithm) else { continue }
            if tried == 0, algorithm.algorithm != .eddsa { hash = digest.hash(signed) }
            tried += 1
            if keys[i].verify(claims.signature, of: signed, digest: &hash) { return keys[i].serial }
        }
        throw refusal(keyID, header, named: named, tried: tried)
    }

    private borrowing func refusal(
        _ keyID: TokenHeader.KeyID, _ header: borrowing Span<UInt8>, named: Int, tried: Int
    ) -> TokenRefusal {
        if case .text(let id) = keyID {
            if named > 0 { return tried == 0 ? .algorithmKeyMismatch : .signatureInvalid }
            guard isComplete else { return .keysUnavailable }
            for foreign in foreignIDs where id.equals(foreign.span, in: header) { return .algorithmKeyMismatch }
            return .keyUnknown
        } else if case .unusable = keyID {
            return .keyUnknown
        } else if !isComplete {
            // Any of the keys that are not here yet may be the one.
            return .keysUnavailable
        } else if keys.isEmpty {
            return .keyUnknown
        }
        return tried == 0 ? .algorithmKeyMismatch : .signatureInvalid
    }

    private static func matches(
        _ key: VerifyingKey, _ keyID: TokenHeader.KeyID, _ header: borrowing Span<UInt8>
    ) -> Bool {
        switch keyID {
        case .absent: return true
        case .unusable: return false
        case .text(let event): return key.isNamed(event, in: header)
        }
    }
}
