// What feeds, messages and operators say is revoked: JSON, read strictly and within bounds.
import Bytes
import JSON

/// Why a document was refused; nothing of it counts then.
package struct RevocationDocumentError: Error, Equatable {
    /// In words, without anything of the document.
    package let reason: String

    fileprivate init(_ reason: String) { self.reason = reason }
    fileprivate init(_ error: JSONError) {
        switch error {
        case .members: reason = "it has too many members"
        case .duplicate: reason = "a member occurs twice"
        case .syntax, .encoding, .depth: reason = "it is no valid JSON"
        }
    }
}

/// What one document says.
package struct RevocationDocument: Equatable, Sendable {
    package var entries: [RevocationEntry] = []
    /// Entries of kinds that nobody here knows: news from a newer source.
    package var skipped = 0
    /// Where the feed goes on; nil: the document is no page of a feed.
    package var cursor: String?

    package init() {}
}

package struct RevocationReader: ~Copyable {
    /// Entries of one document: a page, or one request. A feed with more gives it in pages.
    package static let maximumEntries = 50_000
    package static let maximumCursorBytes = 256
    /// Bytes of an issuer or a value.
    private static let maximumTextBytes = 1024
    /// Digits of a date: until the year 33658.
    private static let maximumDigits = 12

    private var reader = JSONReader(depth: 8, members: maximumEntries * 8, names: 64)
    private var keys = RevocationKeys()
    private var issuer = ByteBuffer(capacity: 256)
    private var value = ByteBuffer(capacity: 256)
    private let scope: RevocationKey

    /// For the block of the configuration of that name.
    package init(revocation name: String) { scope = keys.scope(name) }

    /// A page of a feed: `{"cursor":"…","revocations":[…]}`.
    package mutating func page(_ bytes: borrowing Span<UInt8>) throws(RevocationDocumentError) -> RevocationDocument {
        var document = RevocationDocument()
        var hasEntries = false
        reader.begin()
        guard try next(bytes).kind == .beginObject else { throw RevocationDocumentError("it is no object") }
        var event = try next(bytes)
        while event.kind == .name {
            let member = try next(bytes)
            if event.equals("cursor", in: bytes) {
                document.cursor = try cursor(member, bytes)
            } else if event.equals("revocations", in: bytes) {
                guard member.kind == .beginArray else {
                    throw RevocationDocumentError("\"revocations\" is no list")
                }
                try list(bytes, into: &document)
                hasEntries = true
            } else {
                try skip(member, bytes)
            }
            event = try next(bytes)
        }
        _ = try next(bytes)
        guard document.cursor != nil, hasEntries else {
            throw RevocationDocumentError("\"cursor\" or \"revocations\" is missing")
        }
        return document
    }

    /// One entry, or a list of them.
    package mutating func entries(
        _ bytes: borrowing Span<UInt8>
    ) throws(RevocationDocumentError) -> RevocationDocument {
        var document = RevocationDocument()
        reader.begin()
        switch try next(bytes).kind {
        case .beginObject: try entry(bytes, into: &document)
        case .beginArray: try list(bytes, into: &document)
        default: throw RevocationDocumentError("it is neither an entry nor a list of entries")
        }
        _ = try next(bytes)
        return document
    }

    private mutating func list(
        _ bytes: borrowing Span<UInt8>, into document: inout RevocationDocument
    ) throws(RevocationDocumentError) {
        while true {
            switch try next(bytes).kind {
            case .beginObject: try entry(bytes, into: &document)
            case .endArray: return
            default: throw RevocationDocumentError("an entry is no object")
            }
        }
    }

    /// The members of an entry, whose brace was read.
    private mutating func entry(
        _ bytes: borrowing Span<UInt8>, into document: inout RevocationDocument
    ) throws(RevocationDocumentError) {
        guard document.entries.count + document.skipped < Self.maximumEntries else {
            throw RevocationDocumentError("it has more than \(Self.maximumEntries) entries")
        }
        var members = Members()
        var event = try next(bytes)
        while event.kind == .name {
            let member = try next(bytes)
            switch members.place(of: event, in: bytes) {
            case .issuer: members.issuer = try skip(member, bytes)
            case .kind: members.kind = try skip(member, bytes)
            case .value: members.value = try skip(member, bytes)
            case .until: members.until = try skip(member, bytes)
            case .before: members.before = try skip(member, bytes)
            case .other: try skip(member, bytes)
            }
            event = try next(bytes)
        }
        guard let word = members.kind, word.kind == .string else {
            throw RevocationDocumentError("an entry has no \"kind\"")
        }
        // Of a kind from the future nothing else is known.
        guard let kind = RevocationKind.allCases.first(where: { word.equals($0.word, in: bytes) }) else {
            document.skipped += 1
            return
        }
        document.entries.append(try entry(kind, members, bytes))
    }
    private mutating func entry(
        _ kind: RevocationKind, _ members: Members, _ bytes: borrowing Span<UInt8>
    ) throws(RevocationDocumentError) -> RevocationEntry {
        let issuer = try text(members.issuer, "issuer")
        let value = try text(members.value, "value")
        guard !value.range.isEmpty else { throw RevocationDocumentError("\"value\" is empty") }
        let until = try date(members.until, "until", bytes)
        let before = members.before?.kind == nil ? nil : try date(members.before, "before", bytes)
        if let before, before == 0 || before > Int64(UInt32.max) {
            throw RevocationDocumentError("\"before\" is no date")
        }
        self.issuer.clear()
        issuer.appendText(of: bytes, to: &self.issuer)
        self.value.clear()
        value.appendText(of: bytes, to: &self.value)
        let key = Self.key(kind, self.issuer, self.value, &keys).scoped(by: scope)
        return RevocationEntry(
            key: key, until: UInt32(clamping: until), before: UInt32(clamping: before ?? 0))
    }

    private static func key(
        _ kind: RevocationKind, _ issuer: borrowing ByteBuffer, _ value: borrowing ByteBuffer,
        _ keys: inout RevocationKeys
    ) -> RevocationKey {
        keys.begin(issuer: issuer.bytes)
        return keys.key(kind, value.bytes)
    }

    private func text(_ event: JSONEvent?, _ name: StaticString) throws(RevocationDocumentError) -> JSONEvent {
        guard let event, event.kind == .string else { throw RevocationDocumentError("\"\(name)\" is no text") }
        guard event.range.count <= Self.maximumTextBytes else {
            throw RevocationDocumentError("\"\(name)\" is longer than \(Self.maximumTextBytes) bytes")
        }
        return event
    }
    /// Whole seconds since 1970.
    private func date(
        _ event: JSONEvent?, _ name: StaticString, _ bytes: borrowing Span<UInt8>
    ) throws(RevocationDocumentError) -> Int64 {
        let refusal = RevocationDocumentError("\"\(name)\" is no whole number of seconds")
        guard let event, event.kind == .number, event.range.count <= Self.maximumDigits else { throw refusal }
        var seconds: Int64 = 0
        for i in event.range {
            let digit = bytes[i] &- UInt8(ascii: "0")
            guard digit <= 9 else { throw refusal }
            seconds = seconds * 10 + Int64(digit)
        }
        return seconds
    }
    /// Opaque: visible ASCII, so that it can stand in a URL and in a line of the journal.
    private func cursor(
        _ event: JSONEvent, _ bytes: borrowing Span<UInt8>
    ) throws(RevocationDocumentError) -> String {
        let text = event.kind == .string ? event.text(of: bytes) : ""
        guard (1...Self.maximumCursorBytes).contains(text.utf8.count),
            text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f })
        else { throw RevocationDocumentError("\"cursor\" is no word of 1 to \(Self.maximumCursorBytes) characters") }
        return text
    }

    private mutating func next(_ bytes: borrowing Span<UInt8>) throws(RevocationDocumentError) -> JSONEvent {
        do throws(JSONError) {
            return try reader.next(bytes)
        } catch {
            throw RevocationDocumentError(error)
        }
    }
    @discardableResult
    private mutating func skip(
        _ event: JSONEvent, _ bytes: borrowing Span<UInt8>
    ) throws(RevocationDocumentError) -> JSONEvent {
        do throws(JSONError) {
            return try reader.skip(event, bytes)
        } catch {
            throw RevocationDocumentError(error)
        }
    }
}

/// An entry while it is read.
private struct Members {
    enum Place { case issuer, kind, value, until, before, other }

    var issuer: JSONEvent?
    var kind: JSONEvent?
    var value: JSONEvent?
    var until: JSONEvent?
    var before: JSONEvent?

    func place(of name: JSONEvent, in bytes: borrowing Span<UInt8>) -> Place {
        if name.equals("issuer", in: bytes) { return .issuer }
        if name.equals("kind", in: bytes) { return .kind }
        if name.equals("value", in: bytes) { return .value }
        if name.equals("until", in: bytes) { return .until }
        return name.equals("before", in: bytes) ? .before : .other
    }
}
