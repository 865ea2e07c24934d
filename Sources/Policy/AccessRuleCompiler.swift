// From the requirements of locations to steps. Compiled from the last question to the first, so that each knows where to go on.
import Bytes
import Configuration
import HTTP

struct AccessRuleCompiler {
    private typealias Step = AccessRules.Step
    private typealias Extent = AccessRules.Extent

    private let kept: KeptClaims
    private let rolesFile: [RolesFile.Role]
    private var text: [UInt8] = []
    private var steps: [Step] = []
    private var roles: [Extent] = []
    private var values: [AccessRules.Value] = []
    private var pieces: [AccessRules.Piece] = []
    private var clauses: [AccessRules.Clause] = []
    private var scopes: [AccessRules.ScopeName] = []
    private var entries: [Int32] = []
    private var locations: [Extent] = []
    /// Of the location that is being compiled.
    private var takesWildcards = false
    private var captures: [String] = []
    private var clause = 0
    private var clauseScopes: [AccessRules.ScopeName] = []

    init(_ kept: KeptClaims, _ rolesFile: RolesFile?) {
        self.kept = kept
        self.rolesFile = rolesFile?.roles ?? []
    }

    /// The clauses of a location: one for each requirement, one for each line of `permissions`, and one for methods without a
    /// line.
    mutating func add(_ access: Access) {
        takesWildcards = access.grantsWildcards
        captures = access.captures.sorted()
        let first = clauses.count
        let rules = access.methods?.rules ?? []
        for _ in 0..<access.requirements.count + rules.count + (rules.isEmpty ? 0 : 1) {
            clauses.append(AccessRules.Clause(response: .insufficientScope, entry: AccessRules.allowed))
        }
        var entry = AccessRules.allowed
        if !rules.isEmpty { entry = compile(rules, from: access.requirements.count, first) }
        for (index, requirement) in access.requirements.enumerated().reversed() {
            begin(index)
            entry = compile(requirement, yes: entry, no: AccessRules.denied(index))
            end(first + index, Self.response(requirement), entry)
            clauses[first + index].isRequirement = true
        }
        entries.append(entry)
        locations.append(Extent(first..<clauses.count))
    }

    /// The rules, which are of use only together.
    consuming func finish() -> AccessRules {
        var fileRoles: [AccessRules.FileRole] = []
        var roleGrants: [Extent] = []
        for role in rolesFile {
            let start = roleGrants.count
            for permission in role.permissions { roleGrants.append(encoded(permission, isElement: true)) }
            fileRoles.append(
                AccessRules.FileRole(
                    name: encoded(role.name, isElement: true), permissions: Extent(start..<roleGrants.count)))
        }
        var buffer = ByteBuffer(capacity: max(text.count, 1))
        buffer.append(text.span)
        return AccessRules(
            text: buffer, steps: FixedArray(steps), roles: FixedArray(roles), values: FixedArray(values),
            pieces: FixedArray(pieces), clauses: FixedArray(clauses), scopes: FixedArray(scopes),
            entries: FixedArray(entries), locations: FixedArray(locations),
            fileRoles: FixedArray(fileRoles), roleGrants: FixedArray(roleGrants))
    }

    private mutating func begin(_ index: Int) {
        clause = index
        clauseScopes = []
    }
    private mutating func end(_ at: Int, _ response: LocalResponse, _ entry: Int32) {
        let start = scopes.count
        // They were met from the last to the first.
        if response == .insufficientScope { scopes += clauseScopes.reversed() }
        clauses[at] = AccessRules.Clause(response: response, entry: entry, scopes: Extent(start..<scopes.count))
    }

    /// What a refusal for its sake says. More scope helps only where nothing but grants is missing.
    private static func response(_ requirement: Requirement) -> LocalResponse {
        switch requirement.demand {
        case .policy: .policyViolation
        case .grant: .insufficientScope
        case .claim, .none: .accessDenied
        case .all(let parts):
            parts.allSatisfy { response($0) == .insufficientScope } ? .insufficientScope : .accessDenied
        case .any(let parts): parts.contains { response($0) == .insufficientScope } ? .insufficientScope : .accessDenied
        }
    }

    // Steps

    private mutating func append(_ step: Step, yes: Int32, no: Int32) -> Int32 {
        var step = step
        step.clause = Int32(clause)
        step.yes = yes
        step.no = no
        steps.append(step)
        return Int32(steps.count - 1)
    }

    private mutating func compile(_ requirement: Requirement, yes: Int32, no: Int32) -> Int32 {
        switch requirement.demand {
        case .grant(let grant, let name): return compile(grant, name, yes: yes, no: no)
        case .claim(let condition): return compile(condition, yes: yes, no: no)
        case .all(let parts), .policy(_, let parts):
            return parts.reversed().reduce(yes) { next, part in compile(part, yes: next, no: no) }
        case .any(let parts):
            return parts.reversed().reduce(no) { next, part in compile(part, yes: yes, no: next) }
        case .none(let parts):
            let names = clauseScopes
            defer { clauseScopes = names }
            return parts.reversed().reduce(yes) { next, part in compile(part, yes: no, no: next) }
        }
    }

    private mutating func compile(
        _ grant: Requirement.Grant, _ name: String, yes: Int32, no: Int32
    ) -> Int32 {
        var step = Step(test: grant == .permission ? .permission : grant == .scope ? .scope : .role)
        step.element = encoded(name, isElement: true)
        step.takesWildcards = takesWildcards && grant != .role
        if grant == .permission {
            let start = roles.count
            for role in rolesFile where role.permissions.contains(where: { covers($0, name) }) {
                roles.append(encoded(role.name, isElement: true))
            }
            step.roles = Extent(start..<roles.count)
        }
        let index = append(step, yes: yes, no: no)
        if grant != .role {
            clauseScopes.append(AccessRules.ScopeName(step: index, name: plain(Array(name.utf8))))
        }
        return index
    }

    /// Whether a permission of the roles file is the one that is required.
    private func covers(_ granted: String, _ required: String) -> Bool {
        granted == required
            || takesWildcards && GrantWildcard.element(Array(granted.utf8).span, covers: Array(required.utf8).span)
    }

    /// A chain of methods; behind each its permissions, and behind the last the refusal.
    private mutating func compile(_ rules: [MethodPermissions.Rule], from index: Int, _ first: Int) -> Int32 {
        let unlisted = index + rules.count
        begin(unlisted)
        end(first + unlisted, .accessDenied, AccessRules.denied(unlisted))
        let isHEADListed = rules.contains { $0.methods.contains("HEAD") }
        var next = AccessRules.denied(unlisted)
        // The line for every other method is asked last, wherever it stands.
        let ordered = rules.indices.sorted {
            (rules[$0].methods.isEmpty ? 1 : 0, $0) < (rules[$1].methods.isEmpty ? 1 : 0, $1)
        }
        for k in ordered.reversed() {
            let rule = rules[k]
            begin(index + k)
            let entry = rule.permissions.reversed().reduce(AccessRules.allowed) { next, name in
                compile(.permission, name, yes: next, no: AccessRules.denied(index + k))
            }
            end(first + index + k, .insufficientScope, entry)
            if rule.methods.isEmpty { next = entry }
            let methods = rule.methods + (rule.methods.contains("GET") && !isHEADListed ? ["HEAD"] : [])
            for method in methods.reversed() {
                var step = Step(test: .method)
                step.element = plain(Array(method.utf8))
                next = append(step, yes: entry, no: next)
            }
        }
        return next
    }

    private mutating func compile(_ condition: ClaimCondition, yes: Int32, no: Int32) -> Int32 {
        var step = Step(test: Self.test(condition.comparison))
        step.claim = Int32(kept.index(of: condition.path) ?? -1)
        let start = values.count
        for value in condition.values { values.append(compile(value)) }
        step.values = Extent(start..<values.count)
        return append(step, yes: yes, no: no)
    }

    private static func test(_ comparison: ClaimCondition.Comparison) -> AccessRules.Test {
        switch comparison {
        case .equals: .equals
        case .differs: .differs
        case .isIn: .isIn
        case .contains: .contains
        case .isLess: .isLess
        case .isLessOrEqual: .isLessOrEqual
        case .isGreater: .isGreater
        case .isGreaterOrEqual: .isGreaterOrEqual
        case .exists: .exists
        case .absent: .absent
        }
    }

    // Texts

    private mutating func compile(_ template: Template) -> AccessRules.Value {
        var value = AccessRules.Value()
        var constant: [UInt8] = []
        var isConstant = true
        let start = pieces.count
        for piece in template.pieces {
            switch piece {
            case .text(let bytes):
                constant += bytes
                pieces.append(AccessRules.Piece(kind: .text, text: plain(bytes)))
            case .variable(let variable):
                isConstant = false
                pieces.append(filled(variable))
            }
        }
        guard isConstant else {
            value.pieces = Extent(start..<pieces.count)
            return value
        }
        pieces.removeSubrange(start...)
        value.plain = plain(constant)
        value.scalar = encoded(constant, isElement: false)
        value.element = encoded(constant, isElement: true)
        return value
    }

    private mutating func filled(_ variable: Variable) -> AccessRules.Piece {
        switch variable {
        case .capture(let name):
            AccessRules.Piece(kind: .capture, capture: Int32(captures.firstIndex(of: name) ?? -1))
        case .host: AccessRules.Piece(kind: .host)
        case .requestMethod: AccessRules.Piece(kind: .method)
        case .remoteAddress: AccessRules.Piece(kind: .address)
        case .requestField(let name): AccessRules.Piece(kind: .field, text: plain(name))
        // The configuration lets no other one decide; an empty capture equals nothing.
        default: AccessRules.Piece(kind: .capture, capture: -1)
        }
    }

    private mutating func plain(_ bytes: [UInt8]) -> Extent {
        text += bytes
        return Extent(text.count - bytes.count..<text.count)
    }
    private mutating func encoded(_ name: String, isElement: Bool) -> Extent {
        encoded(Array(name.utf8), isElement: isElement)
    }
    private mutating func encoded(_ bytes: [UInt8], isElement: Bool) -> Extent {
        var buffer = ByteBuffer(capacity: bytes.count * 3 + 1)
        IdentityEncoding.append(text: bytes.span, isElement: isElement, to: &buffer)
        let encoded = buffer.bytes
        return plain(encoded.indices.map { encoded[$0] })
    }
}
