// Decides whether a principal may enter a location: every permission that the location requires, word for word.
import Bytes
package import Configuration

/// The requirements of all locations of one configuration, compiled into storage of their own: one text and plain numbers, so
/// that asking counts no references.
package struct Authorization: ~Copyable {
    package enum Verdict: BitwiseCopyable, Equatable, Sendable {
        case allowed
        /// Which of the location's permissions is missing: the first of them.
        case missing(Int)
    }

    /// Where something lies in a text or a table.
    struct Extent: BitwiseCopyable {
        var start: Int32 = 0
        var end: Int32 = 0
        var range: Range<Int> { Int(start)..<Int(end) }
    }

    /// Required permissions as the verified claims keep theirs.
    private var text = ByteBuffer(capacity: 256)
    private var permissions: FixedArray<Extent>
    /// Of each location: its part of `permissions`, and its challenge.
    private var locations: FixedArray<Extent>
    private var scopes: FixedArray<Extent>
    private var scopeText = ByteBuffer(capacity: 256)

    /// In the order of the configuration's locations.
    package init(_ accesses: [Access]) {
        let total = accesses.reduce(0) { $0 + $1.permissions.count }
        permissions = FixedArray(repeating: Extent(), count: total)
        locations = FixedArray(repeating: Extent(), count: accesses.count)
        scopes = FixedArray(repeating: Extent(), count: accesses.count)
        var count = 0
        for (i, access) in accesses.enumerated() {
            let first = count
            let scopeStart = scopeText.count
            for permission in access.permissions {
                let start = text.count
                let name = Array(permission.name.utf8)
                IdentityEncoding.append(element: name.span, to: &text)
                permissions[count] = Extent(start: Int32(start), end: Int32(text.count))
                count += 1
                guard Self.isScopeToken(name) else { continue }
                if scopeText.count > scopeStart { scopeText.append(" ") }
                scopeText.append(name.span)
            }
            locations[i] = Extent(start: Int32(first), end: Int32(count))
            scopes[i] = Extent(start: Int32(scopeStart), end: Int32(scopeText.count))
        }
    }

    /// Asked for every request anew: that a token is known says nothing about this location.
    package borrowing func evaluate(
        location: Int, _ principals: PrincipalSet, _ authenticator: borrowing Authenticator
    ) -> Verdict {
        let required = locations[location]
        let all = text.bytes
        for i in required.range {
            if !Self.grants(principals, all.extracting(permissions[i].range), authenticator) {
                return .missing(i - Int(required.start))
            }
        }
        return .allowed
    }
    /// Where several had to vouch for the request, each adds what it grants.
    private static func grants(
        _ principals: PrincipalSet, _ permission: borrowing Span<UInt8>, _ authenticator: borrowing Authenticator
    ) -> Bool {
        for i in 0..<Int(principals.count) where authenticator.grants(principals[i], permission) { return true }
        return false
    }

    /// All that the location requires, blanks between, for `scope="…"` of the challenge (RFC 6750 section 3).
    @_lifetime(borrow self)
    package borrowing func scope(location: Int) -> Span<UInt8> {
        scopeText.bytes.extracting(scopes[location].range)
    }

    /// What may stand in a scope (RFC 6749 section 3.3): no quote and no backslash can end the parameter early.
    private static func isScopeToken(_ name: [UInt8]) -> Bool {
        !name.isEmpty
            && name.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }
    }
}
