// What came of the questions that a request waits for, one for each provider that asked, until the request is judged. It lies
// beside the exchanges, since few of them ever wait for a question.
package import Bytes
import Configuration

/// What came of one question.
struct SettledLookup: BitwiseCopyable {
    enum Outcome: BitwiseCopyable {
        /// Held until the request is judged.
        case authenticated(Principal)
        case refused(LocalResponse)
        /// The service fails: nothing is known, and that is the answer.
        case failed(LocalResponse)
        /// The service fails, and such requests go on without an identity.
        case anonymous
    }
    let provider: SlotID
    let outcome: Outcome
}

struct SettledLookups: ~Copyable {
    /// As many as a location may name providers.
    private var settled = InlineArray<8, SettledLookup>(
        repeating: SettledLookup(provider: .none, outcome: .anonymous))
    private(set) var count = 0
    /// What the first service that refused says about who would be let in: the value of its WWW-Authenticate.
    private(set) var challenge: [UInt8] = []

    init() {}

    mutating func add(_ one: SettledLookup) {
        guard count < settled.count else { return }
        settled[count] = one
        count += 1
    }
    mutating func keep(challenge words: [UInt8]) {
        if challenge.isEmpty { challenge = words }
    }
    subscript(i: Int) -> SettledLookup { settled[i] }

    func outcome(of provider: SlotID) -> SettledLookup.Outcome? {
        for i in 0..<count where settled[i].provider == provider { return settled[i].outcome }
        return nil
    }
}

// What the worker keeps of them is a number: `.none` as long as nothing was asked.
extension Authenticator {
    /// Exchanges that have an answer and wait for another one; more than one worker has connections.
    static let maximumSettled = 1 << 16

    /// Notes what came of a question; false when there is no room, and nothing is held then.
    mutating func note(
        _ outcome: SettledLookup.Outcome, of provider: SlotID, challenge: [UInt8] = [], in id: inout SlotID
    ) -> Bool {
        if !settledLookups.contains(id) {
            guard let new = settledLookups.insert(SettledLookups()) else {
                if case .authenticated(let principal) = outcome { release(principal) }
                return false
            }
            id = new
        }
        settledLookups[id].add(SettledLookup(provider: provider, outcome: outcome))
        if !challenge.isEmpty { settledLookups[id].keep(challenge: challenge) }
        return true
    }
    /// The request is judged, or gone.
    package mutating func forget(_ id: inout SlotID) {
        guard settledLookups.contains(id) else { return }
        for i in 0..<settledLookups[id].count {
            if case .authenticated(let principal) = settledLookups[id][i].outcome { release(principal) }
        }
        settledLookups.destroy(id)
        id = .none
    }

    /// What the present request was told of that provider; nil: nobody was asked yet. A principal is held once more.
    mutating func settledVerdict(of provider: SlotID) -> AuthenticationVerdict? {
        guard settledLookups.contains(settled), let outcome = settledLookups[settled].outcome(of: provider) else {
            return nil
        }
        switch outcome {
        case .refused(let response), .failed(let response): return .refused(response)
        case .anonymous: return .authenticated(.anonymous)
        case .authenticated(let principal):
            // Reloads in a row may have taken it away.
            guard isReadable(principal) else { return .refused(.overloaded) }
            providers[principal.provider].cache.hold(principal.entry)
            return .authenticated(principal)
        }
    }
    /// The provider's service could not say anything.
    func hasFailed(_ provider: SlotID) -> Bool {
        guard settledLookups.contains(settled) else { return false }
        if case .failed? = settledLookups[settled].outcome(of: provider) { return true }
        return false
    }
}
