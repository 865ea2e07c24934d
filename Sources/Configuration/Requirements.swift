// What an identity must have to be let in: a tree of grants and conditions on claims, each with the line that demanded it.

package struct Requirement: Sendable, Equatable, Hashable {
    /// A list of the identity, and how its elements are called.
    package enum Grant: String, Sendable, CaseIterable { case permission, scope, role }

    package enum Demand: Sendable, Equatable, Hashable {
        /// That element in that list, word for word.
        case grant(Grant, String)
        case claim(ClaimCondition)
        case all([Requirement])
        case any([Requirement])
        /// Not one of them.
        case none([Requirement])
        /// Everything that the policy of that name requires.
        case policy(String, [Requirement])
    }

    package var demand: Demand
    /// The word that demanded it.
    package var position: SourcePosition

    package init(_ demand: Demand, at position: SourcePosition) {
        self.demand = demand
        self.position = position
    }

    /// What it consists of; empty for what has no parts.
    package var parts: [Requirement] {
        switch demand {
        case .grant, .claim: []
        case .all(let parts), .any(let parts), .none(let parts), .policy(_, let parts): parts
        }
    }

    /// Every condition on a claim in the tree.
    package var conditions: [ClaimCondition] {
        if case .claim(let condition) = demand { return [condition] }
        return parts.flatMap(\.conditions)
    }

    fileprivate func needs(_ wanted: Grant) -> Bool {
        if case .grant(wanted, _) = demand { return true }
        return parts.contains { $0.needs(wanted) }
    }

    /// Every policy that the tree names, with the word that names it.
    var policyNames: [(name: String, position: SourcePosition)] {
        if case .policy(let name, let parts) = demand { return [(name, position)] + parts.flatMap(\.policyNames) }
        return parts.flatMap(\.policyNames)
    }
}

/// `claim PATH OPERATOR VALUE…`. A claim that is not there, that is null, or whose type the operator does not know, meets no
/// condition but `absent`: what is not understood must not allow.
package struct ClaimCondition: Sendable, Equatable, Hashable {
    package enum Comparison: String, Sendable, CaseIterable {
        /// A text that is the value letter by letter, a number that is equal to it, `true` or `false`.
        case equals = "="
        /// A text, number or truth value that is another one.
        case differs = "!="
        /// One of several values.
        case isIn = "in"
        /// An array with such an element; a claim that is one value counts as an array of one.
        case contains
        /// Numbers, compared exactly.
        case isLess = "<"
        case isLessOrEqual = "<="
        case isGreater = ">"
        case isGreaterOrEqual = ">="
        /// There, and not null.
        case exists
        case absent

        var takesNumber: Bool {
            switch self {
            case .isLess, .isLessOrEqual, .isGreater, .isGreaterOrEqual: true
            default: false
            }
        }
        /// How many values it takes.
        var arity: ClosedRange<Int> {
            switch self {
            case .exists, .absent: 0...0
            case .isIn: 1...64
            default: 1...1
            }
        }
    }

    package var path: ClaimPath
    package var comparison: Comparison
    /// Filled in for each request; one whose variables are empty equals nothing.
    package var values: [Template]

    package init(_ path: ClaimPath, _ comparison: Comparison, _ values: [Template] = []) {
        self.path = path
        self.comparison = comparison
        self.values = values
    }

    /// Names of the captures of a location's expression that it is compared with.
    package var captures: [String] {
        values.flatMap(\.pieces).compactMap { piece in
            if case .variable(.capture(let name)) = piece { name } else { nil }
        }
    }
}

/// `permissions { GET,HEAD read:data; … }`: which methods are allowed, and what each needs.
package struct MethodPermissions: Sendable, Equatable, Hashable {
    package struct Rule: Sendable, Equatable, Hashable {
        /// Letter by letter; empty: every method that has no rule of its own.
        package var methods: [String]
        /// All of them are needed.
        package var permissions: [String]
        package var position: SourcePosition

        package init(methods: [String], permissions: [String], position: SourcePosition) {
            self.methods = methods
            self.permissions = permissions
            self.position = position
        }
    }
    package var rules: [Rule]
    package var position: SourcePosition

    package init(_ rules: [Rule], at position: SourcePosition) {
        self.rules = rules
        self.position = position
    }
}

extension Access {
    /// Names of captures that decide about access here.
    package var captures: Set<String> { Set(requirements.flatMap(\.conditions).flatMap(\.captures)) }

    /// The line that demanded something, by its number: the requirements, then the lines of `permissions`, then `permissions`
    /// itself, for methods that have no line.
    package func position(ofDemand number: Int) -> SourcePosition? {
        if requirements.indices.contains(number) { return requirements[number].position }
        guard let methods else { return nil }
        let rule = number - requirements.count
        return methods.rules.indices.contains(rule) ? methods.rules[rule].position : methods.position
    }

    /// Whether that list of an identity decides about access here.
    func needs(_ grant: Requirement.Grant) -> Bool {
        grant == .permission && methods != nil || requirements.contains { $0.needs(grant) }
    }
}

extension Requirement {
    /// One permission, demanded by no line.
    package static func permission(_ name: String) -> Requirement {
        Requirement(.grant(.permission, name), at: SourcePosition(file: "", line: 1, column: 1))
    }
}
