// The checks of an explained request's credential: where it was found, what each provider said of it, and what it allows.
import Bytes
import Configuration
import HTTP
import JOSE
import Policy

extension Explainer {
    mutating func describeCredential(
        _ outcome: ExplainedOutcome, _ request: ExplainedRequest, _ explanation: inout Explanation
    ) {
        let location = configuration.locations[outcome.route]
        let providers = location.access.providers.map { configuration.providers[$0] }
        let names = providers.map(\.name).joined(separator: location.access.mode == .any ? " or " : " and ")
        var credential = Explanation.Step(
            .credential, demands("auth", at: location.position),
            expected: names.isEmpty ? "at most one" : "a token of \(names) in \"Authorization: Bearer TOKEN\"")
        credential.got = found()
        let refusal = outcome.refusal ?? outcome.wouldDeny
        if let refusal, Explanation.Check(failedWith: refusal, nil) == .credential {
            let unpacked = request.token.map { UnpackedToken($0) }
            explanation.append([credential], failing: .credential)
            for provider in providers { skip(tokenSteps(of: provider, unpacked, request.now), &explanation) }
            if let step = revocationStep(location) { skip([step], &explanation) }
            return skipRequirements(location, &explanation)
        }
        explanation.steps.append(credential)
        let isAllowed = describeVerdicts(location, outcome, request, &explanation)
        if var step = revocationStep(location) {
            step.result = isAllowed ? .notChecked : .notReached
            if !isAllowed { step.got = nil }
            explanation.steps.append(step)
        }
        if isAllowed {
            describeRequirements(location, outcome, request, &explanation)
        } else {
            skipRequirements(location, &explanation)
        }
    }

    /// Without a feed nobody knows what was revoked.
    private func revocationStep(_ location: Location) -> Explanation.Step? {
        guard let index = location.access.revocation else { return nil }
        return Explanation.Step(
            .revocation, demands("revocation", at: location.position),
            expected: "not revoked by \"\(configuration.revocations[index].name)\"",
            got: "known to a running gateway only: not checked")
    }

    private func found() -> String {
        let count = head.count(of: .authorization)
        switch BearerToken(head) {
        case .found(let range): return "a bearer token of \(range.count) bytes in Authorization"
        case .missing: return count == 0 ? "no Authorization field" : "an Authorization field with another scheme"
        case .invalid: return count > 1 ? "\(count) Authorization fields" : "a field that can be read in two ways"
        }
    }

    /// What each provider that is asked says; all of them in `auth all`, up to the first that refuses.
    private mutating func describeVerdicts(
        _ location: Location, _ outcome: ExplainedOutcome, _ request: ExplainedRequest,
        _ explanation: inout Explanation
    ) -> Bool {
        guard let token = request.token else { return false }
        let whole = snapshot.plans[outcome.route]
        let unpacked = UnpackedToken(token)
        let isAll = whole.mode == .all
        for i in 0..<(isAll ? Int(whole.count) : 1) {
            let plan = isAll ? AuthenticationPlan(.any, [whole[i]]) : whole
            let name = authenticator.judge(of: token.span, asking: whole[i], plan) ?? ""
            guard let judge = configuration.providers.first(where: { $0.name == name }) else { return false }
            var failing: Explanation.Check?
            switch verdict(plan, now: request.now) {
            case .authenticated(let principal): authenticator.release(principal)
            case .authenticatedByAll(let all): for k in 0..<Int(all.count) { authenticator.release(all[k]) }
            case .refused(let response): failing = Explanation.Check(failedWith: response, unpacked)
            case .later, .awaitKeys: failing = .key
            case .lookup, .nameCertificate: failing = .credential
            }
            var steps = tokenSteps(of: judge, unpacked, request.now)
            if failing == .signature, !unpacked.signatureIsEmpty,
                let at = steps.firstIndex(where: { $0.check == .signature })
            {
                steps[at].got = "it does not fit"
            }
            let asked = isAll ? [location.access.providers[i]] : location.access.providers
            steps.append(
                Explanation.Step(
                    .provider, demands("auth", at: location.position),
                    expected: asked.map { configuration.providers[$0].name }.joined(separator: " or "), got: name))
            explanation.append(steps, failing: failing)
            if failing != nil { return false }
        }
        return true
    }

    func skip(_ steps: [Explanation.Step], _ explanation: inout Explanation) {
        for var step in steps {
            step.result = .notReached
            step.got = nil
            explanation.steps.append(step)
        }
    }
}
