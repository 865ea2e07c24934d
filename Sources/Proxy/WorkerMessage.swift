// What travels between the control thread and the workers: values only.
import Bytes
import Configuration
import JOSE
import Reactor
import Telemetry
import Transport

/// A bound socket on its way to the worker that will own it.
struct BoundListener: Sendable {
    let address: ListenAddress
    /// Owned by whoever takes the message.
    let descriptor: Int32
}

enum WorkerMessage: Sendable {
    /// Puts a configuration to use that was compiled once already; with the sockets of addresses that are new in it.
    case install(GatewayConfiguration, [BoundListener], TicketKeys)
    /// A provider's keys changed; nil: there are none (any more).
    case keys(provider: String, JSONWebKeySet?)
    /// Asks for the counters.
    case collect
    /// Stop accepting, finish what runs, and end by then; nil: whenever the last one is done.
    case drain(by: Instant?)
}

enum ControlMessage: Sendable {
    case counters(worker: Int, CounterValues, endpoints: Int)
    case drained(worker: Int)
    case fetched(provider: String, generation: Int, KeyFetchResult)
}
