// `policy NAME { … }`: requirements with a name, said once and demanded in many locations.

package struct AccessPolicy: Sendable, Equatable {
    package var name: String
    /// What it requires, the policies that it names filled in.
    package var requirements: [Requirement]
    package var position: SourcePosition

    package init(name: String, requirements: [Requirement], position: SourcePosition) {
        self.name = name
        self.requirements = requirements
        self.position = position
    }

    /// What may stand in a policy: the same rows as elsewhere.
    static let rows = RouteSettings.rows.filter { $0.row.blocks.contains(.policy) }

    static let row = Directive<MainSettings>(
        row: DirectiveRow(
            name: "policy", blocks: [.main], form: "NAME { … }", arity: 1...1, repeats: true, opensBlock: true,
            summary: "Requirements under a name, for `require_policy`"),
        read: { statement, _, reader throws(Diagnostic) in try reader.readPolicy(statement) },
        write: { _ in [] })
}

extension RouteSettings {
    /// What a policy says, to be written.
    init(of policy: AccessPolicy) {
        for requirement in policy.requirements {
            if case .policy = requirement.demand {
                policies.append(requirement)
            } else {
                requirements.append(requirement)
            }
        }
    }
}

extension ConfigurationReader {
    fileprivate mutating func readPolicy(_ statement: Statement) throws(Diagnostic) {
        let name = statement.arguments[0]
        guard (1...64).contains(name.text.utf8.count), RequirementReader.isScopeToken(name.text) else {
            throw name.error(
                "\"\(name.shown)\" is no name for a policy: up to 64 characters are allowed, but no blanks, quotes, "
                    + "backslashes or non-ASCII characters")
        }
        if let earlier = configuration.policies.first(where: { $0.name == name.text }) {
            throw name.error("duplicate policy \"\(name.shown)\": the first one is at \(earlier.position.text)")
        }
        var settings = RouteSettings()
        settings.captures = nil
        let before = errorCount
        read(statement.block ?? [], in: .policy, at: statement.position, rows: AccessPolicy.rows, into: &settings)
        let requirements = settings.requirements + settings.policies
        if requirements.isEmpty, errorCount == before {
            report(statement.error("policy \"\(name.shown)\" requires nothing: everybody would meet it"))
        }
        configuration.policies.append(
            AccessPolicy(name: name.text, requirements: requirements, position: statement.position))
    }

    /// The same requirements with what their policies demand; in a policy itself they are filled in when all are known.
    mutating func resolved(_ requirements: [Requirement], in settings: RouteSettings) throws(Diagnostic)
        -> [Requirement]
    {
        guard let captures = settings.captures else { return requirements }
        var filled: [Requirement] = []
        for requirement in requirements {
            let whole = try fill(requirement, inside: [])
            usedPolicies.formUnion(whole.policyNames.map(\.name))
            if let missing = whole.conditions.flatMap(\.captures).first(where: { !captures.contains($0) }) {
                let name = whole.policyNames.first?.name ?? ""
                throw Argument(name, position: whole.policyNames.first?.position ?? whole.position).error(
                    "policy \"\(name)\" looks at \"$\(missing)\", which no regular expression of this location captures"
                )
            }
            filled.append(whole)
        }
        return filled
    }

    /// When every policy has been read: what they name must exist, and no policy can be part of itself.
    mutating func finishPolicies() {
        for index in configuration.policies.indices {
            let policy = configuration.policies[index]
            do throws(Diagnostic) {
                var filled: [Requirement] = []
                for requirement in policy.requirements { filled.append(try fill(requirement, inside: [policy.name])) }
                configuration.policies[index].requirements = filled
            } catch {
                report(error)
            }
        }
    }

    /// `inside`: the policies that led here.
    private func fill(_ requirement: Requirement, inside: [String]) throws(Diagnostic) -> Requirement {
        func fillAll(_ parts: [Requirement], _ inside: [String]) throws(Diagnostic) -> [Requirement] {
            var filled: [Requirement] = []
            for part in parts { filled.append(try fill(part, inside: inside)) }
            return filled
        }
        var whole = requirement
        switch requirement.demand {
        case .grant, .claim: break
        case .all(let parts): whole.demand = .all(try fillAll(parts, inside))
        case .any(let parts): whole.demand = .any(try fillAll(parts, inside))
        case .none(let parts): whole.demand = .none(try fillAll(parts, inside))
        case .policy(let name, _):
            let word = Argument(name, position: requirement.position)
            guard let policy = configuration.policies.first(where: { $0.name == name }) else {
                throw word.error(
                    "undefined policy \"\(name)\"",
                    suggestion: Spelling.suggestion(for: name, among: configuration.policies.map(\.name)))
            }
            if let start = inside.firstIndex(of: name) {
                let circle = (inside[start...] + [name]).map { "\"\($0)\"" }.joined(separator: " requires ")
                throw word.error("a policy cannot be part of itself: \(circle)")
            }
            whole.demand = .policy(name, try fillAll(policy.requirements, inside + [name]))
        }
        return whole
    }
}

extension LocationMatch {
    /// Names of the groups `(?<name>…)`, `(?P<name>…)` and `(?'name'…)` of a regular expression.
    var captureNames: [String] {
        guard case .pattern(let text, _) = self else { return [] }
        var names: [String] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\") { _ = rest.popFirst() }
            guard byte == UInt8(ascii: "("),
                let opening = ["?<", "?P<", "?'"].first(where: { rest.starts(with: $0.utf8) })
            else { continue }
            let name = rest.dropFirst(opening.utf8.count).prefix { Self.isWordByte($0) }
            // `(?<=` and `(?<!` look behind.
            if !name.isEmpty { names.append(String(decoding: name, as: UTF8.self)) }
        }
        return names
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "_"): true
        default: false
        }
    }
}
