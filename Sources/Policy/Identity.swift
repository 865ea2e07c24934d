// What is kept of a verified token: its subject and permissions, and the claims that are asked for, ready to be written and
// compared.
import Bytes
import Configuration
import JOSE
import JSON

/// Where they lie in the text that was made of them: subject, permissions, and behind both what else is kept.
struct Identity: BitwiseCopyable {
    let subjectCount: Int
    /// False when the list is too long for a header field; it is compared all the same.
    let showsPermissions: Bool
    /// Bytes of subject and permissions.
    let mainCount: Int
    /// Fields behind them: none, or scopes, roles and claims.
    let fieldCount: Int

    /// Encodes the claims into `text`, in place of what it held; `finder` is at their payload afterwards. A required claim that is too long to be handed on is refused: the upstream would
    /// take its absence for nobody.
    static func encode(
        _ claims: borrowing VerifiedClaims, _ rules: borrowing TokenRules, _ plan: borrowing ClaimPlan,
        _ finder: inout ClaimFinder, _ reader: inout JSONReader, _ fields: inout IdentityFields,
        into text: inout ByteBuffer
    ) throws(TokenRefusal) -> Identity {
        text.clear()
        finder.begin()
        let limit = IdentityEncoding.maximumBytes
        if let subject = plan.subject(of: claims, &finder, &reader),
            !IdentityEncoding.append(subject, of: claims.payload, isElement: false, limit: limit, to: &text),
            rules.requires("sub")
        {
            throw .claimType
        }
        let subjectCount = text.count
        if let paths = plan.permissions {
            appendLists(paths, of: claims.payload, splitsWords: true, &finder, &reader, &text)
        } else if let permissions = claims.permissions {
            appendList(permissions, of: claims.payload, splitsWords: true, &reader, &text)
        }
        let showsPermissions = text.count - subjectCount <= limit
        if !showsPermissions, rules.requires("permissions") { throw .claimType }
        let mainCount = text.count
        fields.begin()
        if plan.keepsMore { collect(plan, of: claims.payload, &finder, &reader, &fields, &text) }
        return Identity(
            subjectCount: subjectCount, showsPermissions: showsPermissions, mainCount: mainCount,
            fieldCount: fields.count)
    }

    private static func collect(
        _ plan: borrowing ClaimPlan, of payload: borrowing Span<UInt8>, _ finder: inout ClaimFinder,
        _ reader: inout JSONReader, _ fields: inout IdentityFields, _ text: inout ByteBuffer
    ) {
        appendLists(plan.scopes, of: payload, splitsWords: true, &finder, &reader, &fields.text)
        fields.end(.list)
        appendLists(plan.roles, of: payload, splitsWords: false, &finder, &reader, &fields.text)
        fields.end(.list)
        for i in plan.claims.indices {
            let value = finder.find(plan.claims[i], in: payload, &reader)
            fields.end(append(value, of: payload, &reader, &fields.text))
        }
        fields.append(to: &text)
    }

    /// A claim as it is kept; of longer ones than a field takes only that they are there.
    private static func append(
        _ value: JSONEvent?, of payload: borrowing Span<UInt8>, _ reader: inout JSONReader, _ out: inout ByteBuffer
    ) -> ClaimShape {
        guard let value else { return .absent }
        let limit = IdentityEncoding.maximumBytes
        let start = out.count
        switch value.kind {
        case .string:
            return IdentityEncoding.append(value, of: payload, isElement: false, limit: limit, to: &out)
                ? .text : .other
        case .number, .yes, .no:
            guard value.range.count <= limit else { return .other }
            out.append(payload.extracting(value.range))
            return value.kind == .number ? .number : .flag
        case .beginArray:
            appendList(value, of: payload, splitsWords: false, &reader, &out)
            guard out.count - start <= limit else {
                out.truncate(to: start)
                return .other
            }
            return .list
        case .null: return .absent
        default: return .other
        }
    }

    /// The elements of all lists that the paths lead to, one behind the other.
    private static func appendLists(
        _ paths: [ClaimNamePath], of payload: borrowing Span<UInt8>, splitsWords: Bool,
        _ finder: inout ClaimFinder, _ reader: inout JSONReader, _ out: inout ByteBuffer
    ) {
        let start = out.count
        for i in paths.indices {
            guard let value = finder.find(paths[i], in: payload, &reader) else { continue }
            let before = out.count
            if before > start { out.append(byte: IdentityEncoding.separator) }
            let first = out.count
            appendList(value, of: payload, splitsWords: splitsWords, &reader, &out)
            if out.count == first { out.truncate(to: before) }
        }
    }

    /// An array of strings, or one string (with blanks between words where `splitsWords` says so); anything else grants nothing, for what is not understood must
    /// not allow.
    private static func appendList(
        _ list: JSONEvent, of payload: borrowing Span<UInt8>, splitsWords: Bool, _ reader: inout JSONReader,
        _ out: inout ByteBuffer
    ) {
        let start = out.count
        switch list.kind {
        case .string where splitsWords: appendWords(list, of: payload, &out)
        case .string: _ = IdentityEncoding.append(list, of: payload, isElement: true, limit: .max, to: &out)
        case .beginArray:
            let array = payload.extracting(list.range)
            do throws(JSONError) {
                reader.begin()
                _ = try reader.next(array)
                var element = try reader.next(array)
                while element.kind == .string {
                    if out.count > start { out.append(byte: IdentityEncoding.separator) }
                    _ = IdentityEncoding.append(element, of: array, isElement: true, limit: .max, to: &out)
                    element = try reader.next(array)
                }
                if element.kind != .endArray { out.truncate(to: start) }
            } catch {
                out.truncate(to: start)
            }
        default: break
        }
    }

    private static func appendWords(
        _ permissions: JSONEvent, of payload: borrowing Span<UInt8>, _ out: inout ByteBuffer
    ) {
        var decoded = ByteBuffer(capacity: permissions.range.count + 1)
        permissions.appendText(of: payload, to: &decoded)
        let text = decoded.bytes
        let start = out.count
        var at = 0
        while at < text.count {
            let end = text.first(UInt8(ascii: " "), from: at, to: text.count)
            if end > at {
                if out.count > start { out.append(byte: IdentityEncoding.separator) }
                IdentityEncoding.append(element: text.extracting(at..<end), to: &out)
            }
            at = end + 1
        }
    }
}
