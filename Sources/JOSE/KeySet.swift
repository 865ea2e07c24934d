// The keys of one provider, imported by and for one worker: found by `kid` and algorithm, and there is no default key.
import Bytes
import JSON

package struct KeySet: ~Copyable {
    /// A token without `kid` may be tried with this many keys (an issuer that rotates without names has two or three); bounds
    /// what one bad token can cost.
    static let maximumTries = 8

    private var keys: [VerifyingKey] = []
    /// Empty unless a secret was configured; only HMACs are ever looked for here, and only here.
    private var secrets: [SecretKey] = []
    /// `kid` of keys that verify nothing, as they stand in a token.
    private var foreignIDs: [[UInt8]] = []
    private var nextSerial: UInt32 = 0
    /// Counts the times that a key was withdrawn.
    package private(set) var generation: UInt32 = 0
    /// False while a source of keys has never answered: an unknown `kid` may then be a good one.
    package var isComplete = true

    package init() {}

    package var count: Int { keys.count + secrets.count }

    /// Takes over `set`. Keys that are in it and were there before keep their serial, so what they signed stays believed.
    package mutating func replace(with set: JSONWebKeySet) {
        foreignIDs = set.foreignIDs.map { Array($0.utf8) }
        var kept: [VerifyingKey] = []
        var keptSecrets: [SecretKey] = []
        for described in set.keys {
            if kept.contains(where: { $0.described == described }) { continue }
            if keptSecrets.contains(where: { $0.described == described }) { continue }
            if let known = keys.first(where: { $0.described == described }) {
                kept.append(known)
            } else if let known = secrets.first(where: { $0.described == described }) {
                keptSecrets.append(known)
            } else if let new = VerifyingKey(described, serial: nextSerial) {
                nextSerial &+= 1
                kept.append(new)
            } else if let new = SecretKey(described, serial: nextSerial) {
                nextSerial &+= 1
                keptSecrets.append(new)
            }
        }
        let isWithdrawn =
            keys.contains { old in !kept.contains { $0 === old } }
            || secrets.contains { old in !keptSecrets.contains { $0 === old } }
        if isWithdrawn { generation &+= 1 }
        keys = kept
        secrets = keptSecrets
    }

    /// Nothing that was believed so far is believed any more without being looked at again.
    package mutating func forgetAll() {
        generation &+= 1
        keys = []
        secrets = []
    }

    /// Whether the key of that serial is still there.
    package func contains(serial: UInt32) -> Bool {
        keys.contains { $0.serial == serial } || secrets.contains { $0.serial == serial }
    }

    /// The name of the key of that serial, when it has one.
    package func id(serial: UInt32) -> [UInt8]? { keys.first { $0.serial == serial }?.id }

    /// The serial of the key that made the signature, or why there is none. `header` is where the key's name lies.
    borrowing func verify(
        _ claims: borrowing UnverifiedClaims, _ keyID: TokenHeader.KeyID, in header: borrowing Span<UInt8>,
        _ requested: RequestedAlgorithm, _ signed: borrowing Span<UInt8>, _ sha256: borrowing SHA256
    ) throws(TokenRefusal) -> UInt32 {
        var tried = 0
        if requested.algorithm.isSymmetric {
            for secret in secrets where Self.matches(secret.id, keyID, header) {
                guard tried < Self.maximumTries, secret.fits(requested) else { continue }
                tried += 1
                if secret.verify(claims.signature, of: signed, requested.algorithm) { return secret.serial }
            }
            throw refusal(keyID, header, tried: tried)
        }
        var digest = MessageDigest()
        for i in keys.indices where Self.matches(keys[i].id, keyID, header) {
            guard tried < Self.maximumTries, keys[i].fits(requested) else { continue }
            if tried == 0 { digest = MessageDigest(of: signed, for: requested.algorithm, sha256) }
            tried += 1
            if keys[i].verify(claims.signature, of: signed, requested.algorithm, digest: digest) {
                return keys[i].serial
            }
        }
        throw refusal(keyID, header, tried: tried)
    }

    private borrowing func refusal(
        _ keyID: TokenHeader.KeyID, _ header: borrowing Span<UInt8>, tried: Int
    ) -> TokenRefusal {
        if case .text(let id) = keyID {
            if tried > 0 { return .signatureInvalid }
            for key in keys where Self.matches(key.id, keyID, header) { return .algorithmKeyMismatch }
            for secret in secrets where Self.matches(secret.id, keyID, header) { return .algorithmKeyMismatch }
            guard isComplete else { return .keysUnavailable }
            for foreign in foreignIDs where id.equals(foreign.span, in: header) { return .algorithmKeyMismatch }
            return .keyUnknown
        } else if case .unusable = keyID {
            return .keyUnknown
        } else if !isComplete {
            // Any of the keys that are not here yet may be the one.
            return .keysUnavailable
        }
        if tried > 0 { return .signatureInvalid }
        return keys.isEmpty && secrets.isEmpty ? .keyUnknown : .algorithmKeyMismatch
    }

    private static func matches(
        _ id: [UInt8]?, _ keyID: TokenHeader.KeyID, _ header: borrowing Span<UInt8>
    ) -> Bool {
        switch keyID {
        case .absent: return true
        case .unusable: return false
        case .text(let event):
            guard let id else { return false }
            return event.equals(id.span, in: header)
        }
    }
}
