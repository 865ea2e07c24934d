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
    case install(GatewayConfiguration, TLSProfiles, TicketKeys)
    /// Seal and open tickets from now on.
    case tickets(TicketKeys)
    /// A provider's keys changed; nil: there are none (any more).
    case keys(provider: String, JSONWebKeySet?, version: Int)
    /// The keys of a provider's files changed, or its secret.
    case localKeys(provider: String, JSONWebKeySet, secret: JSONWebKey?)
    /// The file of a provider's API keys changed.
    case apiKeys(provider: String, APIKeyFile)
    /// What roles grant has changed.
    case roles(RolesFile)
    /// The fetches that were asked for are over; unless keys came before this, they brought nothing new. None is made before
    /// that time.
    case keysUnchanged(provider: String, noFetchBefore: Instant)
    /// What came of a question about a credential.
    case lookedUp(LookupKey, LookupResult)
    /// What was revoked.
    case revoked([RevocationEntry])
    /// A source of the `revocation` block of that name was heard.
    case revocationsHeard(String, at: Instant)
    /// Checks changed their mind about an endpoint of the group of that place and name.
    case health(group: Int, String, peer: Int, isHealthy: Bool)
    /// Asks for the counters.
    case collect
    /// Stop accepting, finish what runs, and end by then; nil: whenever the last one is done.
    case drain(by: Instant?)
}

enum ControlMessage: Sendable {
    case counters(worker: Int, CounterValues)
    case drained(worker: Int)
    /// A request waits for a key that the provider does not have; `version` is that of the keys it knows.
    case keysWanted(provider: String, version: Int)
    case lookups([LookupGauges])
    case checked(HealthOutcome)
    /// For the error log.
    case say(LogSeverity, String)
    /// What a source of revocations had to say.
    case revocations(RevocationReport)
    /// What was sent to be written down up to that number is on the disk, or could not be written.
    case journalled(upTo: UInt64, failure: String?)
    /// `source`: its number among the provider's.
    case fetched(provider: String, source: Int, generation: Int, KeyFetchResult)
    /// What was fetched could not be written to `state_dir`.
    case notKept(provider: String, reason: String)
}
