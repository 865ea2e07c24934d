// What a location demands of an identity, line by line, with what the identity has.
import Bytes
import Configuration
import HTTP
import Policy

extension Explainer {
    func skipRequirements(_ location: Location, _ explanation: inout Explanation) {
        let methods = location.access.methods.map { [methodStep($0, nil)] } ?? []
        skip(location.access.requirements.map { Self.step($0) } + methods, &explanation)
    }

    /// Which demand is not met is the authorization's to say.
    mutating func describeRequirements(
        _ location: Location, _ outcome: ExplainedOutcome, _ request: ExplainedRequest,
        _ explanation: inout Explanation
    ) {
        let requirements = location.access.requirements
        for (index, requirement) in requirements.enumerated() {
            var step = Self.step(requirement)
            let isReached = index <= outcome.demand ?? index
            step.result = index == outcome.demand ? .failed : isReached ? .passed : .notReached
            if isReached { step.got = values(for: requirement, location, outcome) }
            if step.result == .failed { step.got? += unmet(requirement, location, outcome, request) }
            explanation.steps.append(step)
        }
        guard let methods = location.access.methods else { return }
        let rule = outcome.demand.map { $0 - requirements.count }
        var step = methodStep(methods, rule)
        step.result = rule.map { $0 >= 0 ? .failed : .notReached } ?? .passed
        if step.result != .notReached {
            let method = string(head.bytes.extracting(head.methodRange))
            step.got = "\(method); " + list(.permissions, outcome)
        }
        explanation.steps.append(step)
    }

    private static func step(_ requirement: Requirement) -> Explanation.Step {
        var demands = [Explanation.Demand(directive(requirement), requirement.position)]
        if case .policy(_, let parts) = requirement.demand {
            demands += parts.map { Explanation.Demand(directive($0), $0.position) }
        }
        return Explanation.Step(.requirement, demands, expected: words(requirement))
    }
    private static func directive(_ requirement: Requirement) -> String {
        if case .policy = requirement.demand { "require_policy" } else { "require" }
    }
    /// A policy with what it demands.
    private static func words(_ requirement: Requirement) -> String {
        guard case .policy(let name, let parts) = requirement.demand else { return requirement.text }
        return "policy \(name): " + parts.map { words($0) }.joined(separator: ", ")
    }

    /// The line for the method of the request, or the one that was not met.
    private func methodStep(_ methods: MethodPermissions, _ failed: Int?) -> Explanation.Step {
        let rules = methods.rules
        let name = string(head.bytes.extracting(head.methodRange))
        let index =
            failed ?? rules.firstIndex { $0.methods.contains(name) }
            ?? (name == "HEAD" ? rules.firstIndex { $0.methods.contains("GET") } : nil)
            ?? rules.firstIndex { $0.methods.isEmpty }
        guard let index, rules.indices.contains(index) else {
            let listed = rules.flatMap(\.methods).joined(separator: ", ")
            return Explanation.Step(
                .requirement, [Explanation.Demand("permissions", methods.position)],
                expected: "one of the methods \(listed)")
        }
        let rule = rules[index]
        let permissions =
            rule.permissions.isEmpty ? "nothing more" : "permission " + rule.permissions.joined(separator: ", ")
        return Explanation.Step(
            .requirement, [Explanation.Demand("permissions", rule.position)],
            expected:
                "for \(rule.methods.isEmpty ? "every other method" : rule.methods.joined(separator: ",")) \(permissions)"
        )
    }

    // What the identity has

    /// Of each list and claim that the requirement looks at.
    private func values(for requirement: Requirement, _ location: Location, _ outcome: ExplainedOutcome) -> String {
        var words: [String] = []
        for leaf in Self.leaves(of: requirement) {
            switch leaf.demand {
            case .grant(.permission, _):
                words.append(list(.permissions, outcome))
                if configuration.roles != nil { words.append(list(.roles, outcome)) }
            case .grant(.scope, _): words.append(list(.scopes, outcome))
            case .grant(.role, _): words.append(list(.roles, outcome))
            case .claim(let condition):
                words.append(claim(condition.path, outcome))
                words += condition.captures.map { capture($0, location) }
            case .all, .any, .none, .policy: break
            }
        }
        return words.indices.filter { words.firstIndex(of: words[$0]) == $0 }.map { words[$0] }.joined(separator: ", ")
    }
    /// What an expression took of the path.
    private func capture(_ name: String, _ location: Location) -> String {
        guard let index = location.access.captures.sorted().firstIndex(of: name) else { return "$\(name) absent" }
        return "$\(name) is \"\(string(captured[index]))\""
    }

    /// Where a requirement has parts, those that are not met.
    private func unmet(
        _ requirement: Requirement, _ location: Location, _ outcome: ExplainedOutcome, _ request: ExplainedRequest
    ) -> String {
        let leaves = Self.leaves(of: requirement)
        guard leaves.count > 1 else { return "" }
        let unmet = leaves.filter { !isMet($0, location, outcome, request) }.map(\.text)
        return unmet.isEmpty ? "" : "; not met: " + unmet.joined(separator: ", ")
    }
    private static func leaves(of requirement: Requirement) -> [Requirement] {
        requirement.parts.isEmpty ? [requirement] : requirement.parts.flatMap { leaves(of: $0) }
    }

    /// Asked of the same rules, compiled so that the part stands first.
    private func isMet(
        _ part: Requirement, _ location: Location, _ outcome: ExplainedOutcome, _ request: ExplainedRequest
    ) -> Bool {
        var access = location.access
        access.requirements.insert(part, at: 0)
        var authorization = Authorization([access], configuration.keptClaims, configuration.roles)
        let address = Array(request.address.text.utf8)
        return authorization.evaluate(
            location: 0, outcome.found, authenticator, head, address: address.span, captured) != .denied(0)
    }

    private func list(_ list: IdentityList, _ outcome: ExplainedOutcome) -> String {
        var found: [String] = []
        for i in 0..<Int(outcome.found.count) {
            var buffer = ByteBuffer(capacity: 256)
            authenticator.write(list, of: outcome.found[i], to: &buffer)
            if !buffer.isEmpty { found.append(string(buffer.bytes)) }
        }
        return "\(list) " + (found.isEmpty ? "none" : found.joined(separator: ","))
    }
    private func claim(_ path: ClaimPath, _ outcome: ExplainedOutcome) -> String {
        let name = "claim " + path.names.joined(separator: ".")
        guard let index = configuration.keptClaims.index(of: path) else { return "\(name) absent" }
        for i in 0..<Int(outcome.found.count) {
            let who = outcome.found[i]
            var buffer = ByteBuffer(capacity: 256)
            switch authenticator.shape(who, ofClaim: index) {
            case .absent: continue
            case .other: return "\(name) that cannot be compared"
            case .text, .number, .flag, .list: authenticator.writeClaim(index, of: who, to: &buffer)
            }
            return "\(name) \(string(buffer.bytes))"
        }
        return "\(name) absent"
    }
}
