// The facts of which the advice on a refused request is made.
import Configuration
import Policy

extension Explainer {
    func advise(_ outcome: ExplainedOutcome, _ request: ExplainedRequest, _ explanation: inout Explanation) {
        if let provider = outcome.dependsOn {
            explanation.advice = [
                "It depends on what the service of provider \"\(provider)\" says at run time, which is not asked here."
            ]
            return
        }
        guard let refusal = outcome.refusal ?? outcome.wouldDeny ?? explanation.refusal else { return }
        let step = explanation.failed
        var facts = AdviceFacts()
        facts.expected = step?.expected ?? ""
        facts.got = step?.got ?? ""
        facts.place = step?.demands.first.map { "\($0.position.file):\($0.position.line)" } ?? ""
        facts.clock = ExplainedTime.date(request.now)
        let location = configuration.locations[outcome.route]
        if let token = request.token, let provider = judge(of: token, location) {
            facts.provider = provider.name
            facts.keySource = Self.keySource(of: provider)
            facts.distance = Self.distance(refusal, UnpackedToken(token), request.now)
        } else if let first = location.access.provider {
            facts.provider = configuration.providers[first].name
        }
        explanation.advice = refusal.advice(facts)
    }

    /// The provider whose check failed.
    private func judge(of token: [UInt8], _ location: Location) -> AuthProvider? {
        let issuer = UnpackedToken(token).claim("iss")?.text
        let own = location.access.providers.map { configuration.providers[$0] }
        return own.first { $0.issuer == issuer } ?? configuration.providers.first { $0.issuer == issuer } ?? own.first
    }

    private static func distance(_ refusal: LocalResponse, _ token: UnpackedToken, _ now: Int64) -> String {
        let seconds: Int64?
        if refusal == .tokenNotYetValid {
            seconds = [token.claim("nbf")?.seconds, token.claim("iat")?.seconds].compactMap { $0 }.max()
        } else {
            seconds = token.claim("exp")?.seconds
        }
        return seconds.map { ExplainedTime.length($0.subtractingReportingOverflow(now).partialValue) } ?? ""
    }
}
