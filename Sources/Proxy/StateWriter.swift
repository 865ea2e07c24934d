// The thread that writes to `state_dir`, one file after the other: it sleeps until the disk has each, and nobody waits.
import Reactor

enum StateMessage: Sendable {
    case keep(KeyStore, provider: String, document: [UInt8], fetchedAt: Int64)
    case remove(KeyStore)
}

enum StateWriter {
    /// What could not be kept is told to `results`.
    static func start(_ inbox: Mailbox<StateMessage>, _ results: Mailbox<ControlMessage>) {
        Thread.start(name: "state") {
            while true {
                inbox.sleep(milliseconds: -1)
                for message in inbox.takeAll() { handle(message, results) }
            }
        }
    }
    private static func handle(_ message: StateMessage, _ results: Mailbox<ControlMessage>) {
        switch message {
        case .keep(let store, let provider, let document, let fetchedAt):
            if let reason = store.keep(document, fetchedAt: fetchedAt) {
                results.post(.notKept(provider: provider, reason: reason))
            }
        case .remove(let store): store.remove()
        }
    }
}
