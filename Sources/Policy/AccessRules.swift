// Requirements of all locations, compiled into plain steps: each is one question, and says where to go on when the answer is yes
// and when it is no. Nothing in it is counted, and nothing calls itself.
import Bytes
import HTTP

struct AccessRules: ~Copyable {
    /// Where something lies in a text or a table.
    struct Extent: BitwiseCopyable {
        var start: Int32 = 0
        var end: Int32 = 0

        init() {}
        init(_ range: Range<Int>) {
            start = Int32(range.lowerBound)
            end = Int32(range.upperBound)
        }
        var range: Range<Int> { Int(start)..<Int(end) }
        var isEmpty: Bool { start == end }
    }

    enum Test: UInt8 {
        /// Of a list of the identity.
        case permission, scope, role
        /// The request has that method.
        case method
        // of a claim
        case equals, differs, isIn, contains, isLess, isLessOrEqual, isGreater, isGreaterOrEqual, exists, absent
    }

    struct Step: BitwiseCopyable {
        var test: Test
        /// Grants may hold wildcards.
        var takesWildcards = false
        /// Number of the demand of its location that it belongs to.
        var clause: Int32 = 0
        /// Index of the claim among those that are kept.
        var claim: Int32 = -1
        /// In `text`: the element as lists keep it, or the method.
        var element = Extent()
        /// In `roles`: those that grant the permission.
        var roles = Extent()
        /// In `values`
        var values = Extent()
        /// Where to go on: a step, `allowed`, or what `denied` makes of a clause.
        var yes: Int32 = allowed
        var no: Int32 = allowed
    }

    /// What a claim is compared with.
    struct Value: BitwiseCopyable {
        /// In `text`, of a value that is the same for every request: as it is written, as claims keep a single value, as they
        /// keep an element of a list.
        var plain = Extent()
        var scalar = Extent()
        var element = Extent()
        /// In `pieces`, of one that is filled in for each.
        var pieces = Extent()
    }

    struct Piece: BitwiseCopyable {
        enum Kind: UInt8 { case text, capture, host, method, field, address }
        var kind: Kind
        /// In `text`: what it is, or the field's name.
        var text = Extent()
        /// Number of the group.
        var capture: Int32 = 0
    }

    /// One demand of a location, and what a refusal for its sake says.
    struct Clause: BitwiseCopyable {
        var response: LocalResponse
        var entry: Int32
        /// A requirement, which holds for every request; else a line of `permissions`.
        var isRequirement = false
        /// In `scopes`: permissions and scopes that would meet it.
        var scopes = Extent()
    }
    /// A grant that a challenge can name: the step that asks for it, its name in `text`.
    struct ScopeName: BitwiseCopyable {
        var step: Int32
        var name: Extent
    }

    /// A role of the roles file: its name in `text`, its permissions in `roleGrants`.
    struct FileRole: BitwiseCopyable {
        var name: Extent
        var permissions: Extent
    }

    static var allowed: Int32 { -1 }
    static func denied(_ clause: Int) -> Int32 { -2 - Int32(clause) }

    let text: ByteBuffer
    let steps: FixedArray<Step>
    let roles: FixedArray<Extent>
    let values: FixedArray<Value>
    let pieces: FixedArray<Piece>
    let clauses: FixedArray<Clause>
    let scopes: FixedArray<ScopeName>
    /// By location: its first step, and its part of `clauses`.
    let entries: FixedArray<Int32>
    let locations: FixedArray<Extent>
    let fileRoles: FixedArray<FileRole>
    let roleGrants: FixedArray<Extent>
}

/// Buffers of one worker for values that are filled in.
struct AccessScratch: ~Copyable {
    var plain = ByteBuffer(capacity: 128)
    var encoded = ByteBuffer(capacity: 128)
    var claim = ByteBuffer(capacity: 128)
}

extension AccessRules {
    /// Where the steps from `entry` on lead: `allowed`, or the clause that is not met. With `only`, at the latest to the end of
    /// that clause.
    func outcome(
        from entry: Int32, only clause: Int32 = -1, _ principals: PrincipalSet,
        _ authenticator: borrowing Authenticator,
        _ head: borrowing RequestHead, address: borrowing Span<UInt8>, _ captured: borrowing CapturedGroups,
        _ scratch: inout AccessScratch
    ) -> Int32 {
        var at = entry
        // Every step leads to one that was compiled before it: the walk ends.
        while at >= 0, clause < 0 || steps[Int(at)].clause == clause {
            let step = steps[Int(at)]
            let isMet: Bool
            switch step.test {
            case .permission, .scope, .role: isMet = grants(step, principals, authenticator)
            case .method:
                isMet = head.bytes.extracting(head.methodRange).isEqual(to: text.bytes.extracting(step.element.range))
            default:
                isMet = meets(step, principals, authenticator, head, address: address, captured, &scratch)
            }
            at = isMet ? step.yes : step.no
        }
        return at
    }

    /// Where several had to vouch for the request, each adds what it grants.
    func grants(_ step: Step, _ principals: PrincipalSet, _ authenticator: borrowing Authenticator) -> Bool {
        let all = text.bytes
        let element = all.extracting(step.element.range)
        let list: IdentityList = step.test == .permission ? .permissions : step.test == .scope ? .scopes : .roles
        for i in 0..<Int(principals.count) {
            if authenticator.has(principals[i], element, in: list) { return true }
            if step.takesWildcards, authenticator.covers(principals[i], element, in: list) { return true }
            for k in step.roles.range where authenticator.has(principals[i], all.extracting(roles[k].range), in: .roles)
            {
                return true
            }
        }
        return false
    }

    /// Appends the permissions of a principal as a field value, commas between them: its own, then those that its roles add.
    /// Nothing when they take more than a field.
    func writePermissions(
        of principal: Principal, _ authenticator: borrowing Authenticator, to out: inout ByteBuffer
    ) {
        guard fileRoles.count > 0 else { return authenticator.writePermissions(principal, to: &out) }
        guard authenticator.showsPermissions(principal) else { return }
        let start = out.count
        authenticator.writePermissions(principal, to: &out)
        let all = text.bytes
        for i in 0..<fileRoles.count
        where authenticator.has(principal, all.extracting(fileRoles[i].name.range), in: .roles) {
            for k in fileRoles[i].permissions.range {
                let permission = all.extracting(roleGrants[k].range)
                if CacheEntry.has(permission, in: out.bytes.extracting(start...)) { continue }
                if out.count > start { out.append(byte: IdentityEncoding.separator) }
                out.append(permission)
            }
        }
        if out.count - start > IdentityEncoding.maximumBytes { out.truncate(to: start) }
    }

    // Claims

    private func meets(
        _ step: Step, _ principals: PrincipalSet, _ authenticator: borrowing Authenticator,
        _ head: borrowing RequestHead, address: borrowing Span<UInt8>, _ captured: borrowing CapturedGroups,
        _ scratch: inout AccessScratch
    ) -> Bool {
        let claim = Int(step.claim)
        // The first who has the claim says what it is.
        var who = principals.first
        var shape = authenticator.shape(who, ofClaim: claim)
        var i = 1
        while shape == .absent, i < Int(principals.count) {
            who = principals[i]
            shape = authenticator.shape(who, ofClaim: claim)
            i += 1
        }
        if step.test == .exists { return shape != .absent }
        if step.test == .absent { return shape == .absent }
        if shape == .absent || shape == .other { return false }
        for k in step.values.range {
            guard fill(values[k], head, address: address, captured, &scratch) else { continue }
            if compare(step.test, claim, shape, who, values[k], authenticator, &scratch) { return true }
        }
        return false
    }

    private func compare(
        _ test: Test, _ claim: Int, _ shape: ClaimShape, _ who: Principal, _ value: Value,
        _ authenticator: borrowing Authenticator, _ scratch: inout AccessScratch
    ) -> Bool {
        switch test {
        case .equals, .isIn: return isEqual(claim, shape, who, value, authenticator, &scratch)
        case .differs: return shape != .list && !isEqual(claim, shape, who, value, authenticator, &scratch)
        case .contains:
            guard shape == .list else { return isEqual(claim, shape, who, value, authenticator, &scratch) }
            encode(value, isElement: true, &scratch)
            return authenticator.claim(claim, of: who, contains: scratch.encoded.bytes)
        default:
            guard shape == .number, let order = order(claim, who, authenticator, &scratch) else { return false }
            switch test {
            case .isLess: return order < 0
            case .isLessOrEqual: return order <= 0
            case .isGreater: return order > 0
            default: return order >= 0
            }
        }
    }

    private func isEqual(
        _ claim: Int, _ shape: ClaimShape, _ who: Principal, _ value: Value, _ authenticator: borrowing Authenticator,
        _ scratch: inout AccessScratch
    ) -> Bool {
        switch shape {
        case .text:
            encode(value, isElement: false, &scratch)
            return authenticator.claim(claim, of: who, equals: scratch.encoded.bytes)
        case .flag: return authenticator.claim(claim, of: who, equals: scratch.plain.bytes)
        case .number: return order(claim, who, authenticator, &scratch) == 0
        case .absent, .other, .list: return false
        }
    }

    /// How the claim, a number, compares with the value.
    private func order(
        _ claim: Int, _ who: Principal, _ authenticator: borrowing Authenticator, _ scratch: inout AccessScratch
    ) -> Int? {
        scratch.claim.clear()
        authenticator.writeClaim(claim, of: who, to: &scratch.claim)
        return DecimalText.compare(scratch.claim.bytes, scratch.plain.bytes)
    }

    // Values

    /// Makes the value in `scratch.plain`. False: one of its variables is empty, and it equals nothing.
    private func fill(
        _ value: Value, _ head: borrowing RequestHead, address: borrowing Span<UInt8>,
        _ captured: borrowing CapturedGroups, _ scratch: inout AccessScratch
    ) -> Bool {
        scratch.plain.clear()
        let all = text.bytes
        guard !value.pieces.isEmpty else {
            scratch.plain.append(all.extracting(value.plain.range))
            return true
        }
        for i in value.pieces.range {
            let piece = pieces[i]
            let start = scratch.plain.count
            switch piece.kind {
            case .text: scratch.plain.append(all.extracting(piece.text.range))
            case .capture: scratch.plain.append(captured[Int(piece.capture)])
            case .host: for k in head.hostName { scratch.plain.append(byte: Self.folded(head.bytes[k])) }
            case .method: scratch.plain.append(head.bytes.extracting(head.methodRange))
            case .address: scratch.plain.append(address)
            case .field:
                guard let range = head.soleValue(named: all.extracting(piece.text.range)) else { return false }
                scratch.plain.append(head.bytes.extracting(range))
            }
            if scratch.plain.count == start { return false }
        }
        return true
    }

    /// The value as claims keep it.
    private func encode(_ value: Value, isElement: Bool, _ scratch: inout AccessScratch) {
        scratch.encoded.clear()
        if value.pieces.isEmpty {
            scratch.encoded.append(text.bytes.extracting((isElement ? value.element : value.scalar).range))
        } else {
            Self.encode(scratch.plain, isElement: isElement, to: &scratch.encoded)
        }
    }
    private static func encode(_ plain: borrowing ByteBuffer, isElement: Bool, to out: inout ByteBuffer) {
        IdentityEncoding.append(text: plain.bytes, isElement: isElement, to: &out)
    }

    private static func folded(_ byte: UInt8) -> UInt8 { byte &- UInt8(ascii: "A") < 26 ? byte | 0x20 : byte }
}
