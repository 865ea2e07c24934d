// What is kept of a verified token: its subject and permissions, ready to be written and compared.
import Bytes
import JOSE
import JSON

/// Where the two lie in the text that was made of them, one behind the other.
struct Identity: BitwiseCopyable {
    let subjectCount: Int
    /// False when the list is too long for a header field; it is compared all the same.
    let showsPermissions: Bool

    /// Encodes the claims into `text`, in place of what it held. A required claim that is too long to be handed on is refused: the upstream would
    /// take its absence for nobody.
    static func encode(
        _ claims: borrowing VerifiedClaims, _ rules: borrowing TokenRules, _ reader: inout JSONReader,
        into text: inout ByteBuffer
    ) throws(TokenRefusal) -> Identity {
        text.clear()
        let limit = IdentityEncoding.maximumBytes
        if let subject = claims.subject,
            !IdentityEncoding.append(subject, of: claims.payload, isElement: false, limit: limit, to: &text),
            rules.requires("sub")
        {
            throw .claimType
        }
        let subjectCount = text.count
        if let permissions = claims.permissions {
            appendPermissions(permissions, of: claims.payload, &reader, &text)
        }
        let showsPermissions = text.count - subjectCount <= limit
        if !showsPermissions, rules.requires("permissions") { throw .claimType }
        return Identity(subjectCount: subjectCount, showsPermissions: showsPermissions)
    }

    /// An array of strings, or one string with blanks between; anything else grants nothing, for what is not understood must
    /// not allow.
    private static func appendPermissions(
        _ permissions: JSONEvent, of payload: borrowing Span<UInt8>, _ reader: inout JSONReader,
        _ out: inout ByteBuffer
    ) {
        let start = out.count
        switch permissions.kind {
        case .string: appendWords(permissions, of: payload, &out)
        case .beginArray:
            let array = payload.extracting(permissions.range)
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
