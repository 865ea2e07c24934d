// What travels between the control thread and the workers: values only.
import Bytes
import Configuration
import JOSE
import Policy
import Reactor
import Telemetry
import Transport

enum WorkerMessage: Sendable {
    /// Puts a configuration to use that was compiled once already, and whose addresses are reserved.
    case install(GatewayConfiguration, TicketKeys)
    /// A provider's keys changed; nil: there are none (any more).
    case keys(provider: String, JSONWebKeySet?)
    /// A fetch that was asked for is over and brought nothing new; none is made before that time.
    case keysUnchanged(provider: String, noFetchBefore: Instant)
    /// What came of a question about a credential.
    case lookedUp(LookupKey, LookupResult)
    /// Asks for the counters.
    case collect
    /// Stop accepting, finish what runs, and end by then; nil: whenever the last one is done.
    case drain(by: Instant?)
}

enum ControlMessage: Sendable {
    case counters(worker: Int, CounterValues)
    case drained(worker: Int)
    /// A request waits for a key that the provider does not have.
    case keysWanted(provider: String)
    case lookups([LookupGauges])
    /// For the error log.
    case say(LogSeverity, String)
    case fetched(provider: String, generation: Int, KeyFetchResult)
}
