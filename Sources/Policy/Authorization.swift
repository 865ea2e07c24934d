// Decides whether those who send a request may enter a location.
package import Bytes
package import Configuration
package import HTTP

/// The requirements of all locations of one configuration, with the buffers of the worker that asks.
package struct Authorization: ~Copyable {
    package enum Verdict: BitwiseCopyable, Equatable, Sendable {
        case allowed
        /// Which demand of the location is not met: the first of them. Numbered are its requirements, then the lines of its
        /// `permissions`, and behind those the absence of a line for the method.
        case denied(Int)
    }

    private let rules: AccessRules
    private var scratch = AccessScratch()

    /// In the order of the configuration's locations.
    package init(_ configuration: GatewayConfiguration) {
        self.init(configuration.locations.map(\.access), configuration.keptClaims, configuration.roles)
    }

    package init(_ accesses: [Access], _ kept: KeptClaims = KeptClaims(), _ roles: RolesFile? = nil) {
        var compiler = AccessRuleCompiler(kept, roles)
        for access in accesses { compiler.add(access) }
        rules = compiler.finish()
    }

    /// Asked for every request anew: that a token is known says nothing about this location.
    package mutating func evaluate(
        location: Int, _ principals: PrincipalSet, _ authenticator: borrowing Authenticator,
        _ head: borrowing RequestHead, address: borrowing Span<UInt8>, _ captured: borrowing CapturedGroups
    ) -> Verdict {
        let end = rules.outcome(
            from: rules.entries[location], principals, authenticator, head, address: address, captured, &scratch)
        return end == AccessRules.allowed ? .allowed : .denied(Int(-2 - end))
    }

    /// Appends the permissions of a principal as a field value, those of its roles included.
    package borrowing func writePermissions(
        of principal: Principal, _ authenticator: borrowing Authenticator, to out: inout ByteBuffer
    ) {
        rules.writePermissions(of: principal, authenticator, to: &out)
    }

    /// What a refusal for the sake of that demand says.
    package borrowing func response(location: Int, demand: Int) -> LocalResponse {
        rules.clauses[rules.locations[location].range.lowerBound + demand].response
    }

    /// Appends the permissions and scopes that are missing, blanks between, for `scope="…"` of the challenge (RFC 6750 section 3):
    /// of the demand that was not met, and of all others that grants alone would meet.
    package mutating func appendMissing(
        location: Int, demand: Int, _ principals: PrincipalSet, _ authenticator: borrowing Authenticator,
        _ head: borrowing RequestHead, address: borrowing Span<UInt8>, _ captured: borrowing CapturedGroups,
        to out: inout ByteBuffer
    ) {
        let range = rules.locations[location].range
        for number in range {
            let clause = rules.clauses[number]
            // Lines of other methods are not for this request.
            let concerns = number - range.lowerBound == demand || clause.isRequirement
            guard concerns, clause.response == .insufficientScope else { continue }
            let end = rules.outcome(
                from: clause.entry, only: Int32(number - range.lowerBound), principals, authenticator, head,
                address: address, captured, &scratch)
            guard end == AccessRules.denied(number - range.lowerBound) else { continue }
            for k in clause.scopes.range
            where !rules.grants(rules.steps[Int(rules.scopes[k].step)], principals, authenticator) {
                if !out.isEmpty { out.append(" ") }
                out.append(rules.text.bytes.extracting(rules.scopes[k].name.range))
            }
        }
    }
}
