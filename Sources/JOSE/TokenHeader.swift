// The JOSE header of a token, reduced to what may influence us: it selects inside what is configured, and nothing more.
import Bytes
import JSON

struct TokenHeader {
    /// Bytes of a `kid`: longer ones name no key of ours, and need no comparing.
    static let maximumKeyIDBytes = 256

    enum KeyID {
        case absent
        /// A number, an array, or more than 256 bytes: a name that no key can have.
        case unusable
        case text(JSONEvent)
    }

    private(set) var algorithm: RequestedAlgorithm?
    private(set) var keyID = KeyID.absent
    private var type: JSONEvent?
    private var hasCritical = false
    private var isUnsupported = false

    /// Reads the whole header before anything in it counts. `jwk`, `jku`, `x5u`, `x5c` are not looked at: a key that the
    /// token brings along proves nothing (RFC 8725 section 3.10).
    init(_ header: borrowing Span<UInt8>, _ reader: inout JSONReader) throws(TokenRefusal) {
        do throws(JSONError) {
            try read(header, &reader)
        } catch {
            throw TokenRefusal(error)
        }
    }

    private mutating func read(_ header: borrowing Span<UInt8>, _ reader: inout JSONReader) throws(JSONError) {
        reader.begin()
        guard try reader.next(header).kind == .beginObject else { throw .syntax }
        var event = try reader.next(header)
        while event.kind == .name {
            let value = try reader.next(header)
            take(event, value, header)
            try reader.skip(value, header)
            event = try reader.next(header)
        }
        _ = try reader.next(header)
    }

    private mutating func take(_ name: JSONEvent, _ value: JSONEvent, _ header: borrowing Span<UInt8>) {
        if name.equals("alg", in: header) {
            algorithm = RequestedAlgorithm(value, in: header)
        } else if name.equals("kid", in: header) {
            keyID = value.kind == .string && value.range.count <= Self.maximumKeyIDBytes ? .text(value) : .unusable
        } else if name.equals("typ", in: header) {
            type = value
        } else if name.equals("crit", in: header) || name.equals("b64", in: header) {
            // Nothing that may stand in `crit` is implemented, `b64` (RFC 7797) included, so any list is one too many.
            hasCritical = true
        } else if name.equals("zip", in: header) {
            isUnsupported = true
        } else if name.equals("cty", in: header) {
            // A token inside a token (RFC 7519 section 5.2) would have to be opened and judged again.
            isUnsupported = isUnsupported || Self.isMediaType(value, Self.jwt, in: header)
        }
    }

    /// The checks that need no key, in the order in which they are answered.
    func check(_ rules: borrowing TokenRules, _ header: borrowing Span<UInt8>) throws(TokenRefusal)
        -> RequestedAlgorithm
    {
        guard let algorithm, rules.allows(algorithm.algorithm) else { throw .algorithmNotAllowed }
        guard isTypeAllowed(rules, header) else { throw .typeNotAllowed }
        if hasCritical { throw .criticalExtension }
        if isUnsupported { throw .unsupportedHeader }
        return algorithm
    }

    private func isTypeAllowed(_ rules: borrowing TokenRules, _ header: borrowing Span<UInt8>) -> Bool {
        guard let type else { return rules.allowsMissingType }
        for i in rules.types.indices where Self.isMediaType(type, rules.types[i], in: header) { return true }
        return false
    }

    /// RFC 7515 section 4.1.9: compared without case, `application/` may be left out.
    private static func isMediaType(_ value: JSONEvent, _ type: [UInt8], in header: borrowing Span<UInt8>) -> Bool {
        guard value.kind == .string else { return false }
        var characters = JSONText(value)
        if folds(&characters, type.span, in: header) && characters.next(header) < 0 { return true }
        characters = JSONText(value)
        return folds(&characters, application.span, in: header) && folds(&characters, type.span, in: header)
            && characters.next(header) < 0
    }

    private static let jwt = Array("jwt".utf8)
    private static let application = Array("application/".utf8)

    /// Whether the characters go on with that text, whatever their case.
    private static func folds(
        _ characters: inout JSONText, _ text: borrowing Span<UInt8>, in header: borrowing Span<UInt8>
    ) -> Bool {
        for i in 0..<text.count {
            let byte = characters.next(header)
            let isUpper = byte >= 0x41 && byte <= 0x5a
            guard (isUpper ? byte | 0x20 : byte) == Int(text[i]) else { return false }
        }
        return true
    }
}

extension TokenRefusal {
    init(_ error: JSONError) { self = error == .duplicate ? .duplicateMember : .malformed }
}
