// One provider of identity as one worker uses it: its rules, its keys, and the tokens of it that were verified.
import Bytes
import Configuration
import JOSE
import JSON

struct TokenProvider: ~Copyable {
    private(set) var configuration: AuthProvider
    let rules: TokenRules
    let plan: ClaimPlan
    /// How the provider's service is asked.
    let call: LookupCall?
    private let name: ByteBuffer
    private let ttlSeconds: Int64
    /// How long a refused token is remembered; 0: not at all.
    let negativeSeconds: Int64
    private(set) var keys = KeySet()
    /// What the source of keys gave last; nil: nothing yet.
    private(set) var fetchedKeys: JSONWebKeySet?
    var cache: VerificationCache
    private let revocationPlan: RevocationPlan
    /// What there is to revoke of each entry; empty when nobody asks.
    private var facts: RevocationFactsTable
    let keepsFacts: Bool
    /// No longer configured: kept for the exchanges that still read what it knows.
    var isRetired = false
    /// Requests that wait for this provider's keys or verdict: it must still be there when they are taken up again.
    var waiting = 0
    /// Until then no fetch of keys is made: a token with an unknown key is refused at once.
    var noFetchBefore = Instant(nanoseconds: 0)
    /// Nobody waits for these.
    var absentKeys = AbsentKeys()

    init(_ configuration: AuthProvider, workers: Int, fetchedKeys: JSONWebKeySet?, keepsFacts: Bool) {
        self.configuration = configuration
        rules = TokenRules(configuration)
        plan = ClaimPlan(configuration.claims, configuration.kept)
        call = configuration.lookup.map {
            LookupCall(
                $0, clientID: configuration.lookupClient?.id, clientSecret: configuration.lookupClient?.secret ?? "")
        }
        var text = ByteBuffer(capacity: 64)
        text.append(Array(configuration.name.utf8).span)
        name = text
        ttlSeconds = configuration.cacheTTL.components.seconds
        negativeSeconds = configuration.cacheEntries == 0 ? 0 : configuration.negativeTTL.components.seconds
        // Each worker has a cache of its own, and the limits are the process's.
        cache = VerificationCache(
            limit: (configuration.cacheEntries + workers - 1) / workers, byteLimit: configuration.cacheSize / workers)
        revocationPlan = RevocationPlan(configuration.claims, configuration.kind)
        self.keepsFacts = keepsFacts
        facts = RevocationFactsTable(slots: keepsFacts ? cache.slots : 0)
        self.fetchedKeys = fetchedKeys
        importKeys()
    }

    /// Takes over the parts of a new configuration that leave verdicts alone, local keys included.
    mutating func adopt(_ new: AuthProvider) {
        configuration = new
        importKeys()
    }

    /// A new key set of the source; nil: it has none that may be used.
    mutating func install(_ fetched: JSONWebKeySet?) {
        fetchedKeys = fetched
        importKeys()
    }

    /// Other keys of the same files.
    mutating func install(local: JSONWebKeySet, secret: JSONWebKey?) {
        configuration.localKeys = local
        configuration.secret = secret
        importKeys()
    }
    /// Other API keys of the same file. What is cached is the file's word, which may be another one now.
    mutating func install(_ file: APIKeyFile) {
        configuration.apiKeys = file
        keys.forgetAll()
    }

    private mutating func importKeys() {
        var all = configuration.ownKeys
        if let fetchedKeys { all.append(fetchedKeys) }
        keys.replace(with: all)
        keys.isComplete = configuration.keySources.isEmpty || !(fetchedKeys?.isPartial ?? true)
    }

    /// The entry of a token that is good now. Every look-up asks for time and key again (a token may have expired, a key may
    /// have been withdrawn since); an entry that is no longer good is given up, so that the verdict is found anew.
    mutating func find(_ key: SHA256Value, now: Int64) -> SlotID? {
        guard let id = cache.find(key) else { return nil }
        let validity = cache.validity(id)
        guard now < validity.goodUntil, now >= validity.goodFrom else {
            cache.remove(id)
            return nil
        }
        if validity.keyGeneration != keys.generation {
            guard keys.contains(serial: validity.keySerial) else {
                cache.remove(id)
                return nil
            }
            cache.noteKeyGeneration(id, keys.generation)
        }
        return id
    }

    /// Keeps what was verified; nil when no slot is left.
    mutating func keep(
        _ key: SHA256Value, _ claims: borrowing VerifiedClaims, _ identity: Identity, _ text: borrowing ByteBuffer,
        now: Int64, notAfter end: Int64 = .max
    ) -> SlotID? {
        let validity = CacheEntry.Validity(
            goodUntil: min(claims.goodUntil, now + ttlSeconds, end), keyGeneration: keys.generation,
            keySerial: claims.keySerial, goodFrom: claims.goodFrom)
        let entry = cache.insert(key, validity, identity, text, now: now)
        // Whoever had the slot before was somebody else.
        if keepsFacts, let entry { facts.set(entry.index, RevocationFacts()) }
        return entry
    }

    /// Notes what there is to revoke of an entry, if anybody asks. `finder` is at the payload of the claims.
    mutating func keepFacts(
        _ entry: SlotID, _ claims: borrowing VerifiedClaims, _ keys: inout RevocationKeys,
        _ finder: inout ClaimFinder, _ reader: inout JSONReader, _ text: inout ByteBuffer
    ) {
        guard keepsFacts else { return }
        let id = self.keys.id(serial: claims.keySerial)
        facts.set(entry.index, revocationPlan.facts(of: claims, keyID: id, &keys, &finder, &reader, &text))
    }
    /// What revocations say of an entry.
    mutating func judge(
        _ entry: SlotID, _ revocations: borrowing Revocations, block: Int, now: Int64, time: Instant
    ) -> RevocationVerdict {
        // Of a credential without facts nothing is known that could be revoked, which must not let it in.
        guard keepsFacts else { return .revoked }
        return revocations.judge(entry.index, in: &facts, block: block, now: now, time: time)
    }
    /// Whether a service said it of an API key before all that its owner held was ended: of the key as it is now, it may
    /// say something else.
    func isOutdated(_ entry: SlotID, _ revocations: borrowing Revocations, block: Int, now: Int64) -> Bool {
        configuration.kind == .apiKey && call != nil && keepsFacts
            && !revocations.isRevokedItself(entry.index, in: facts, block: block, now: now)
    }

    /// How long a request may wait for the key of its token; nil: not at all.
    func waitForKeys(now: Instant) -> Duration? {
        guard !configuration.keySources.isEmpty, now >= noFetchBefore,
            case .refetch(let wait, _) = configuration.unknownKeys
        else { return nil }
        return wait
    }

    var isUnused: Bool { cache.holds == 0 && waiting == 0 }

    borrowing func writeName(to out: inout ByteBuffer) { out.append(name.bytes) }
    borrowing func writeName(to out: inout ByteQueue) { out.append(name.bytes) }

    /// Whether verdicts under `new` are the same as under the present configuration, the keys apart.
    func judgesAlike(_ new: AuthProvider) -> Bool {
        var same = new
        same.localKeys = configuration.localKeys
        same.secret = configuration.secret
        same.secretFile = configuration.secretFile
        same.keyFiles = configuration.keyFiles
        same.keyFetching = configuration.keyFetching
        same.unknownKeys = configuration.unknownKeys
        return same == configuration
    }
}

extension TokenRules {
    init(_ provider: AuthProvider) {
        self.init()
        maximumBytes = provider.tokenSize
        algorithms = provider.algorithms
        types = provider.tokenTypes.compactMap { $0.map { Array($0.utf8) } }
        allowsMissingType = provider.tokenTypes.contains(nil)
        issuer = provider.issuer.map { Array($0.utf8) }
        audience = provider.audience.map { Array($0.utf8) }
        needsAllAudiences = provider.needsAllAudiences
        require(provider.requiredClaims)
        leeway = provider.leeway.components.seconds
        maximumLifetime = provider.maxLifetime.map { $0.components.seconds }
    }
}
