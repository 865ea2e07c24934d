// A document of public keys (RFC 7517 section 5): every usable key, and why the others are not.
import Bytes
import JSON

package struct JSONWebKeySet: Sendable, Equatable {
    /// A set of 64 RSA-4096 keys with certificate chains fits; a hostile reply of a gigabyte does not.
    package static let maximumBytes = 256 * 1024
    /// More than any issuer rotates through; bounds the time an unknown token can cost.
    package static let maximumKeys = 64
    /// 64 members for each of 64 keys.
    static let maximumMembers = 4096

    package var keys: [JSONWebKey]
    /// One sentence for each key that was left out for a reason worth a warning.
    package var skipped: [String]
    /// `kid` of each key of a type, curve or algorithm that is not used here. They verify nothing; a token that names one has
    /// the wrong algorithm rather than an unknown key, and fetching the keys again would not change that.
    package var foreignIDs: [String]
    /// A source has not given its part: a key that is not here may be a good one.
    package var isPartial = false

    package init(keys: [JSONWebKey] = [], skipped: [String] = [], foreignIDs: [String] = []) {
        self.keys = keys
        self.skipped = skipped
        self.foreignIDs = foreignIDs
    }

    /// The document of these keys, in which nothing is secret.
    package var document: [UInt8] {
        var writer = JSONWriter(capacity: 1024)
        writer.beginObject()
        writer.name("keys")
        writer.beginArray()
        for key in keys { key.write(to: &writer) }
        writer.endArray()
        writer.endObject()
        writer.buffer.append("\n")
        return Array(copying: writer.buffer.bytes)
    }

    /// Adds what another document of the same provider holds.
    package mutating func append(_ other: JSONWebKeySet) {
        keys += other.keys
        skipped += other.skipped
        foreignIDs += other.foreignIDs
    }

    package static func parse(_ document: [UInt8]) throws(JOSEError) -> JSONWebKeySet { try parse(document.span) }

    /// Reads a JWK Set. A key that cannot be used is skipped, a document that is none is refused. `isLocal`: it is a file of
    /// this machine, where alone secrets (`oct`) are taken.
    package static func parse(
        _ document: borrowing Span<UInt8>, isLocal: Bool = false
    ) throws(JOSEError) -> JSONWebKeySet {
        guard document.count <= maximumBytes else { throw .tooLarge(bytes: document.count) }
        var reader = JSONWebKeyReader(takesSecrets: isLocal)
        return try reader.readSet(document)
    }

    /// Reads a file of this machine: a JWK Set, or public keys and certificates in PEM.
    package static func parse(file: [UInt8]) throws(JOSEError) -> JSONWebKeySet {
        let isJSON = file.first { $0 > 0x20 } == UInt8(ascii: "{")
        return isJSON ? try parse(file.span, isLocal: true) : try parse(pem: file)
    }

    /// Reads the public keys and certificates of a PEM file; each key's `kid` is its RFC 7638 thumbprint.
    package static func parse(pem: [UInt8]) throws(JOSEError) -> JSONWebKeySet {
        var set = JSONWebKeySet()
        for material in try PublicKey.readPEM(pem) {
            guard set.keys.count < maximumKeys else { throw .tooManyKeys }
            var key = JSONWebKey(material)
            if let reason = key.unusableReason { throw .unusable(reason) }
            key.id = key.thumbprint
            set.keys.append(key)
        }
        return set
    }
}
