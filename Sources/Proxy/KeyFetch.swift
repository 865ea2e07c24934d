// Fetches the keys of one source, by way of its metadata if it has such, on a thread that lives for one fetch: it may
// block, and nobody waits for it.
import Bytes
import Configuration
import JOSE
import Reactor

/// Keys as they were fetched.
struct FetchedKeys: Sendable, Equatable {
    let set: JSONWebKeySet
    /// The bytes of the key set.
    let document: [UInt8]
    /// How long the server says they may be used.
    var lifeSeconds: UInt64?
}

/// What one attempt to fetch keys brought.
enum KeyFetchResult: Sendable {
    case keys(FetchedKeys)
    case failed(FetchFailure)
}

/// One attempt.
struct KeyFetch: Sendable {
    /// Name look-up apart, it takes at most this long.
    private static let limitNanoseconds: UInt64 = 10_000_000_000

    let provider: String
    /// The source's number among the provider's.
    let number: Int
    let source: KeySource
    /// What metadata must name.
    let issuer: String?
    let isInsecure: Bool
    /// Whom the servers are believed by, in PEM; nil: by the system's authorities.
    let authorities: [UInt8]?
    let generation: Int

    /// Starts a thread; its result arrives in the mailbox.
    func start(_ results: Mailbox<ControlMessage>) {
        Thread.start(name: "keys") { [self] in
            results.post(.fetched(provider: provider, source: number, generation: generation, run()))
        }
    }

    private func run() -> KeyFetchResult {
        do throws(FetchFailure) {
            let end = Instant(nanoseconds: EventLoop.monotonic.nanoseconds + Self.limitNanoseconds)
            let document = try WebFetch.run(try request(until: end))
            let set = try Self.parse(document.body)
            return .keys(FetchedKeys(set: set, document: document.body, lifeSeconds: document.lifeSeconds))
        } catch {
            return .failed(error)
        }
    }
    private func request(until end: Instant) throws(FetchFailure) -> WebRequest {
        let accept = "application/jwk-set+json, application/json"
        guard source.kind == .discovery else {
            return WebRequest(
                address: source.address, accept: accept, end: end, allowsInternal: isInsecure, authorities: authorities)
        }
        let metadata = try WebFetch.run(
            WebRequest(
                address: source.address, accept: "application/json", end: end, allowsInternal: isInsecure,
                authorities: authorities))
        let address = try keys(of: metadata.body)
        return WebRequest(
            address: address, accept: accept, end: end, isConfigured: address.host == source.address.host,
            allowsInternal: isInsecure, authorities: authorities)
    }
    /// Where the keys are, by metadata that must be those of the issuer (RFC 8414 section 3.3).
    private func keys(of document: [UInt8]) throws(FetchFailure) -> WebAddress {
        guard let metadata = ProviderMetadata(document) else {
            throw FetchFailure(
                .notMetadata, "the document is not an issuer's metadata with \"issuer\" and \"jwks_uri\"")
        }
        guard metadata.issuer == issuer else {
            throw FetchFailure(.issuerMismatch, "the metadata are of another issuer")
        }
        guard let address = try? WebAddress(metadata.keys) else {
            throw FetchFailure(.notMetadata, "\"jwks_uri\" is not an address of keys")
        }
        let isLoopback = address.isLiteralLoopback && address.host == source.address.host
        guard address.isTLS || isLoopback || isInsecure else {
            throw FetchFailure(.notMetadata, "\"jwks_uri\" is plain http, so keys could be exchanged on the way")
        }
        return address
    }

    /// The keys of a document, or the reason why they must not be used.
    static func parse(_ document: [UInt8]) throws(FetchFailure) -> JSONWebKeySet {
        let set: JSONWebKeySet
        do throws(JOSEError) {
            set = try JSONWebKeySet.parse(document)
        } catch {
            let reason: FetchFailure.Reason =
                switch error {
                case .tooLarge: .tooLarge
                case .tooManyKeys: .tooManyKeys
                default: .notKeySet
                }
            throw FetchFailure(reason, "the document is not a usable key set: \(error)")
        }
        // A source that lost its keys must not take ours.
        guard !set.keys.isEmpty else { throw FetchFailure(.noUsableKey, "the key set holds no usable key") }
        return set
    }
}
