// API keys of a file: hashes only, so that who reads the file cannot use them.
internal import Bytes
package import JOSE
internal import JSON

/// One key as the file lists it.
package struct APIKey: Sendable, Equatable {
    package var id: String
    /// SHA-256 of the whole key as it is sent.
    package var hash: SHA256Value
    package var isRevoked = false
    /// Wall-clock seconds; nil: never.
    package var expiresAt: Int64?
    /// What the key says about who uses it, in the form of a token's claims.
    package var claims: [UInt8]
}

/// Why a file of keys cannot be used, and where.
package struct APIKeyError: Error, Equatable {
    package var line: Int
    package var column: Int
    package var reason: String
}

extension APIKey {
    /// More keys than that belong into a service that is asked.
    static let maximumCount = 100_000
    static let maximumBytes = 64 << 20

    /// `{"keys":[{"id":…,"hash":…,"subject":…,"permissions":[…],"roles":[…],"name":…,"expires_at":…,"revoked":…}]}`, sorted by
    /// hash.
    package static func parse(_ bytes: [UInt8]) throws(APIKeyError) -> [APIKey] {
        var parser = APIKeyParser(bytes.count)
        let keys = try parser.keys(bytes.span)
        return keys.sorted { $0.hash.words.0 < $1.hash.words.0 }
    }
}

private struct APIKeyParser: ~Copyable {
    /// What is wrong with a document that is JSON, and at which byte.
    private struct Fault: Error {
        var at: Int
        var reason: String
    }
    private var reader: JSONReader
    /// The last event: mistakes of the grammar lie behind it.
    private var last = 0

    init(_ count: Int) { reader = JSONReader(depth: 8, members: max(64, count / 6)) }

    mutating func keys(_ document: borrowing Span<UInt8>) throws(APIKeyError) -> [APIKey] {
        do throws(Fault) {
            return try readKeys(document)
        } catch {
            var (line, column) = (1, 1)
            for i in 0..<min(error.at, document.count) {
                if document[i] == UInt8(ascii: "\n") { (line, column) = (line + 1, 1) } else { column += 1 }
            }
            throw APIKeyError(line: line, column: column, reason: error.reason)
        }
    }

    private mutating func next(_ document: borrowing Span<UInt8>) throws(Fault) -> JSONEvent {
        do throws(JSONError) {
            let event = try reader.next(document)
            last = event.range.upperBound
            return event
        } catch {
            let reason =
                switch error {
                case .syntax: "it is not JSON from here on"
                case .encoding: "it is not UTF-8 from here on"
                case .depth, .members: "it is nested too deep, or has too many members"
                case .duplicate: "a member is said twice from here on"
                }
            throw Fault(at: last, reason: reason)
        }
    }
    private func expect(
        _ event: JSONEvent, _ kind: JSONEvent.Kind, _ what: String
    ) throws(Fault) {
        guard event.kind == kind else { throw Fault(at: event.range.lowerBound, reason: "\(what) is expected here") }
    }

    private mutating func readKeys(_ document: borrowing Span<UInt8>) throws(Fault) -> [APIKey] {
        reader.begin()
        try expect(try next(document), .beginObject, "an object with \"keys\"")
        let name = try next(document)
        guard name.kind == .name, name.equals("keys", in: document) else {
            throw Fault(at: name.range.lowerBound, reason: "\"keys\" is expected here")
        }
        try expect(try next(document), .beginArray, "an array of keys")
        var keys: [APIKey] = []
        var ids: Set<String> = []
        var hashes: Set<SHA256Value> = []
        var event = try next(document)
        while event.kind != .endArray {
            try expect(event, .beginObject, "a key, as an object,")
            let key = try readKey(document, at: event.range.lowerBound)
            guard ids.insert(key.id).inserted else {
                throw Fault(at: event.range.lowerBound, reason: "the id \"\(key.id)\" is there twice")
            }
            guard hashes.insert(key.hash).inserted else {
                throw Fault(at: event.range.lowerBound, reason: "another key has the same hash")
            }
            keys.append(key)
            guard keys.count <= APIKey.maximumCount else {
                throw Fault(at: event.range.lowerBound, reason: "there are more than \(APIKey.maximumCount) keys")
            }
            event = try next(document)
        }
        let end = try next(document)
        guard end.kind == .endObject else {
            throw Fault(at: end.range.lowerBound, reason: "nothing but \"keys\" may stand here")
        }
        _ = try next(document)
        return keys
    }

    private mutating func readKey(_ document: borrowing Span<UInt8>, at start: Int) throws(Fault) -> APIKey {
        var id: String?
        var hash: SHA256Value?
        var subject: String?
        var name: String?
        var permissions: [String] = []
        var roles: [String] = []
        var expiresAt: Int64?
        var isRevoked = false
        var member = try next(document)
        while member.kind == .name {
            let value = try next(document)
            switch member.text(of: document) {
            case "id": id = try text(value, document)
            case "hash": hash = try self.hash(value, document)
            case "subject": subject = try text(value, document)
            case "name": name = try text(value, document)
            case "permissions": permissions = try list(value, document)
            case "roles": roles = try list(value, document)
            case "expires_at": expiresAt = try time(value, document)
            case "revoked":
                guard value.kind == .yes || value.kind == .no else {
                    throw Fault(at: value.range.lowerBound, reason: "true or false is expected here")
                }
                isRevoked = value.kind == .yes
            case let other:
                throw Fault(
                    at: member.range.lowerBound,
                    reason: "a key has no member \"\(other)\": there are id, hash, subject, permissions, roles, name, "
                        + "expires_at, revoked")
            }
            member = try next(document)
        }
        guard let id else { throw Fault(at: start, reason: "this key has no \"id\"") }
        guard let hash else { throw Fault(at: start, reason: "this key has no \"hash\"") }
        let claims = Self.claims(id, subject ?? id, name, permissions, roles)
        return APIKey(id: id, hash: hash, isRevoked: isRevoked, expiresAt: expiresAt, claims: claims)
    }

    private func text(_ value: JSONEvent, _ document: borrowing Span<UInt8>) throws(Fault) -> String {
        guard value.kind == .string, !value.range.isEmpty else {
            throw Fault(at: value.range.lowerBound, reason: "a text that is not empty is expected here")
        }
        return value.text(of: document)
    }
    private mutating func list(_ value: JSONEvent, _ document: borrowing Span<UInt8>) throws(Fault) -> [String] {
        try expect(value, .beginArray, "an array of texts")
        var all: [String] = []
        var event = try next(document)
        while event.kind != .endArray {
            all.append(try text(event, document))
            event = try next(document)
        }
        return all
    }
    private func time(_ value: JSONEvent, _ document: borrowing Span<UInt8>) throws(Fault) -> Int64? {
        if value.kind == .null { return nil }
        guard value.kind == .number, let seconds = Int64(value.text(of: document)), seconds >= 0 else {
            throw Fault(at: value.range.lowerBound, reason: "whole seconds since 1970, or null, are expected here")
        }
        return seconds
    }
    /// 64 hexadecimal digits, or 43 characters of base64url.
    private func hash(_ value: JSONEvent, _ document: borrowing Span<UInt8>) throws(Fault) -> SHA256Value {
        let fault = Fault(
            at: value.range.lowerBound, reason: "SHA-256 of the key, in hexadecimal or base64url, is expected here")
        guard value.kind == .string else { throw fault }
        let digits = Array(value.text(of: document).utf8)
        if digits.count == 64 {
            var bytes: [UInt8] = []
            for i in stride(from: 0, to: 64, by: 2) {
                guard let high = Self.nibble(digits[i]), let low = Self.nibble(digits[i + 1]) else { throw fault }
                bytes.append(high << 4 | low)
            }
            return SHA256Value(bytes.span)
        }
        var decoded = ByteBuffer(capacity: 64)
        guard Base64URL.decode(digits.span, into: &decoded), decoded.count == 32 else { throw fault }
        return SHA256Value(decoded.bytes)
    }
    private static func nibble(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x41...0x46: digit - 0x37
        case 0x61...0x66: digit - 0x57
        default: nil
        }
    }

    private static func claims(
        _ id: String, _ subject: String, _ name: String?, _ permissions: [String], _ roles: [String]
    ) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.name("sub")
        writer.string(subject)
        writer.name("api_key_id")
        writer.string(id)
        if let name {
            writer.name("name")
            writer.string(name)
        }
        writer.name("permissions")
        write(permissions, &writer)
        writer.name("roles")
        write(roles, &writer)
        writer.endObject()
        let bytes = writer.buffer.bytes
        return (0..<bytes.count).map { bytes[$0] }
    }
    private static func write(_ list: [String], _ writer: inout JSONWriter) {
        writer.beginArray()
        for one in list { writer.string(one) }
        writer.endArray()
    }
}
