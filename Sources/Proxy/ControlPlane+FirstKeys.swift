// `fail_start on`: before anybody is listened to, keys are fetched, and without them the gateway does not start.
import Bytes
import Configuration
import Reactor

extension ControlPlane {
    /// Returns when each source of the providers that ask for it has given keys, or when what an earlier process kept of it can
    /// serve.
    mutating func awaitFirstKeys() throws(Diagnostic) {
        guard configuration.providers.contains(where: { $0.keyFetching.failsStart && !$0.keySources.isEmpty }) else {
            return
        }
        _ = prepareKeys()
        fetchFirstKeys()
        while keys.contains(where: { $0.failsStart && $0.isFetching }) {
            inbox.sleep(milliseconds: 100)
            takeMessages()
            while let signal = signals.next() {
                if signal == .terminate || signal == .quit { throw refusal("told to stop before its keys were here") }
            }
        }
        for provider in keys where provider.failsStart {
            guard let absence = provider.absence else { continue }
            throw refusal("keys of provider \"\(provider.provider)\" cannot be had from \(absence)", provider.provider)
        }
    }
    private mutating func fetchFirstKeys() {
        for i in keys.indices where keys[i].failsStart { fetch(i, keys[i].beginDue(now: loop.now)) }
    }
    private func refusal(_ message: String, _ name: String? = nil) -> Diagnostic {
        let provider = configuration.providers.first { $0.name == name } ?? configuration.providers[0]
        return Diagnostic(at: provider.position, message, suggestion: nil, length: 13)
    }
}
