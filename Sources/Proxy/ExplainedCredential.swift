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
            expected: names.isEmpty ? "at most one" : Self.wanted(providers, names))
        credential.got = found(providers)
        let refusal = outcome.refusal ?? outcome.wouldDeny
        if refusal == .tokenMissing || refusal == .invalidRequest || refusal == .apiKeyMissing {
            let unpacked = request.token.map { UnpackedToken($0) }
            explanation.append([credential], failing: .credential)
            for provider in providers {
                skip(credentialSteps(of: provider, request.token, unpacked, request.now), &explanation)
            }
            if let step = revocationStep(location) { skip([step], &explanation) }
            return skipRequirements(location, &explanation)
        }
        explanation.steps.append(credential)
        var isAllowed = describeVerdicts(location, outcome, request, &explanation)
        if isAllowed && outcome.places.contains(.cookie) {
            let isDenied = refusal == .originDenied
            explanation.append([originStep(location)], failing: isDenied ? .origin : nil)
            isAllowed = !isDenied
        }
        if var step = revocationStep(location) {
            if !isAllowed {
                step.result = .notReached
                step.got = nil
            } else if refusal == .tokenRevoked {
                step.result = .failed
                step.got = journal.revoked
                isAllowed = false
            }
            explanation.steps.append(step)
        }
        if isAllowed {
            describeRequirements(location, outcome, request, &explanation)
        } else {
            skipRequirements(location, &explanation)
        }
    }

    /// Without a journal nobody knows what was revoked.
    private func revocationStep(_ location: Location) -> Explanation.Step? {
        guard let index = location.access.revocation else { return nil }
        var step = Explanation.Step(
            .revocation, demands("revocation", at: location.position),
            expected: "not revoked by \"\(configuration.revocations[index].name)\"", got: journal.good)
        step.result = journal.isKnown ? .passed : .notChecked
        return step
    }

    /// A page of another site makes a browser send its cookies, too.
    private func originStep(_ location: Location) -> Explanation.Step {
        Explanation.Step(
            .origin, demands("cors", at: location.position),
            expected: "a safe method, or a page of this host or of \"cors\" with credentials",
            got: "\(string(head.bytes.extracting(head.methodRange))), Origin \(field("origin")), Sec-Fetch-Site "
                + field("sec-fetch-site"))
    }

    private static func wanted(_ providers: [AuthProvider], _ names: String) -> String {
        var places: [String] = []
        for place in providers.flatMap(\.places) {
            let word =
                switch place {
                case .bearer: "\"Authorization: Bearer TOKEN\""
                case .field(let name): "field \(String(decoding: name, as: UTF8.self))"
                case .cookie(let name): "cookie \(String(decoding: name, as: UTF8.self))"
                case .query(let name): "query argument \(String(decoding: name, as: UTF8.self))"
                }
            if !places.contains(word) { places.append(word) }
        }
        let word = providers.contains { $0.kind == .apiKey } ? "a credential" : "a token"
        return "\(word) of \(names)" + (places.isEmpty ? "" : " in " + places.joined(separator: " or "))
    }

    private func found(_ providers: [AuthProvider]) -> String {
        let count = head.count(of: .authorization)
        let places = providers.flatMap(\.places).reduce(into: [CredentialPlace]()) { places, place in
            if !places.contains(place) { places.append(place) }
        }
        switch Credential(head, places.isEmpty ? [.bearer] : places) {
        case .found(let range, .bearer): return "a bearer token of \(range.count) bytes in Authorization"
        case .found(let range, .field): return "a key of \(range.count) bytes in its field"
        case .found(let range, .cookie): return "a credential of \(range.count) bytes in a cookie"
        case .found(let range, .query): return "a credential of \(range.count) bytes in the query"
        case .missing where places.allSatisfy({ $0 == .bearer }):
            return count == 0 ? "no Authorization field" : "an Authorization field with another scheme"
        case .missing: return "none"
        case .invalid: return count > 1 ? "\(count) Authorization fields" : "one that can be read in two ways"
        }
    }

    /// What each provider that is asked says; all of them in `auth all`, up to the first that refuses.
    private mutating func describeVerdicts(
        _ location: Location, _ outcome: ExplainedOutcome, _ request: ExplainedRequest,
        _ explanation: inout Explanation
    ) -> Bool {
        let whole = snapshot.plans[outcome.route]
        let unpacked = request.token.map { UnpackedToken($0) }
        let isAll = whole.mode == .all
        for i in 0..<(isAll ? Int(whole.count) : 1) {
            var plan = whole
            var asked = location.access.providers.map { configuration.providers[$0] }
            if isAll {
                asked = [asked[i]]
                plan = AuthenticationPlan(.any, [whole[i]])
                plan.note(asked[0])
            }
            let verdict = verdict(plan, now: request.now)
            guard let judge = asker(verdict) ?? judge(plan, asked, request.token, unpacked) else { return false }
            var steps = credentialSteps(of: judge, request.token, unpacked, request.now)
            var failing: Explanation.Check?
            switch verdict {
            case .authenticated(let principal): authenticator.release(principal)
            case .authenticatedByAll(let all): for k in 0..<Int(all.count) { authenticator.release(all[k]) }
            case .refused(let response): failing = check(response, judge, request.token, unpacked)
            case .later, .awaitKeys: failing = .key
            case .lookup, .nameCertificate:
                steps[steps.count - 1].result = .notChecked
                explanation.steps += steps
                return false
            }
            note(failing, unpacked, &steps)
            steps.append(
                Explanation.Step(
                    .provider, demands("auth", at: location.position),
                    expected: asked.map(\.name).joined(separator: " or "), got: judge.name))
            explanation.append(steps, failing: failing)
            if failing != nil { return false }
        }
        return true
    }
    /// Who let the request in, or has to ask.
    private func asker(_ verdict: AuthenticationVerdict) -> AuthProvider? {
        let name: String?
        switch verdict {
        case .authenticated(let principal): name = authenticator.name(of: principal.provider)
        case .lookup(let provider), .nameCertificate(let provider): name = authenticator.name(of: provider)
        default: name = nil
        }
        return configuration.providers.first { $0.name == name }
    }
    private func check(
        _ response: LocalResponse, _ judge: AuthProvider, _ token: [UInt8]?, _ unpacked: UnpackedToken?
    ) -> Explanation.Check {
        // A key that does not begin like one is not looked up.
        if response == .apiKeyInvalid, let prefix = judge.keyPrefix, !(token ?? []).starts(with: Array(prefix.utf8)) {
            return .keyPrefix
        }
        return Explanation.Check(failedWith: response, unpacked)
    }
    private func note(_ failing: Explanation.Check?, _ unpacked: UnpackedToken?, _ steps: inout [Explanation.Step]) {
        guard failing == .signature, unpacked?.signatureIsEmpty == false else { return }
        for i in steps.indices where steps[i].check == .signature { steps[i].got = "it does not fit" }
    }

    func skip(_ steps: [Explanation.Step], _ explanation: inout Explanation) {
        for var step in steps {
            step.result = .notReached
            step.got = nil
            explanation.steps.append(step)
        }
    }
}
