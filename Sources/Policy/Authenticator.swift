// Decides who sends a request, from its bearer token and from what was verified before.
package import Bytes
package import Configuration
package import HTTP
package import JOSE
import JSON

/// The authenticator of one worker, with keys and a verification cache for each provider. Providers are named by their index in
/// the configuration that was installed last.
package struct Authenticator: ~Copyable {
    /// Providers at one time, those of earlier configurations included that exchanges still hold.
    private static let maximumProviders = 1024

    /// Signatures that are checked in one turn of the loop while nobody else is served: some 150 µs with RS256. One after the
    /// other they find the processor's caches full of what they need.
    package static let verificationsPerTurn = 8

    private let inPlace = InPlace()
    var providers = SlotTable<TokenProvider>(capacity: maximumProviders)
    private var order = FixedArray(repeating: SlotID.none, count: 0)
    private var retired: [SlotID] = []
    private let workers: Int
    let digest = SHA256()
    private var verifier = TokenVerifier()
    var reader = JSONReader()
    var finder = ClaimFinder()
    /// Of the identity that is being made.
    var text = ByteBuffer(capacity: 1024)
    var fields = IdentityFields()
    var refused = RefusedTokens()
    /// What was revoked; outlives configurations.
    var revocations = Revocations(secret: .random(in: .min ... .max))
    var revocationKeys = RevocationKeys()
    private var keepsFacts = false
    /// Requests whose token was refused before.
    var negativeHits: UInt64 = 0
    /// What the connection of the present request has shown, what it was told so far, and where its credentials were found.
    var certificate = ClientCertificate.none
    var settled = SlotID.none
    var settledLookups = SlotTable<SettledLookups>(capacity: maximumSettled)
    /// Of the request that was refused last, when a service refused it: who would be let in.
    package internal(set) var passedChallenge: [UInt8] = []
    package internal(set) var places = CredentialPlaces()
    package internal(set) var secrets = SecretRanges()
    /// The question of the last verdict, and how many there were that nobody shares.
    var lookup: LookupRequest?
    var questions: UInt64 = 0
    /// Signatures that may still be checked now.
    private var budget = verificationsPerTurn
    /// Hash of the token that was to be judged later.
    package private(set) var postponed = SHA256Value()
    /// Requests whose token was verified before.
    package internal(set) var hits: UInt64 = 0
    var misses: UInt64 = 0
    /// Of providers that are gone.
    private var earlierEvictions: UInt64 = 0

    /// `workers`: how many share the limits on cached entries and bytes.
    package init(_ providers: [AuthProvider], workers: Int) {
        self.workers = max(workers, 1)
        update(providers)
    }

    /// From here on signatures are checked, `count` at most; after `endVerifying` none are.
    package mutating func beginVerifying(atMost count: Int = verificationsPerTurn) { budget = count }
    package mutating func endVerifying() { budget = 0 }

    /// Who sends the request.
    /// - Parameters:
    ///   - now: wall-clock seconds, because tokens say when they end in those.
    ///   - time: of the loop; for what has to do with waiting.
    ///   - isFinal: the request has waited for keys already, and takes what there is.
    ///   - hash: of its token, when it was postponed.
    ///   - certificate: what its connection has shown, where the plan asks for that.
    ///   - settled: what came of the questions that it has waited for.
    package mutating func evaluate(
        _ head: borrowing RequestHead, _ plan: AuthenticationPlan, now: Int64, time: Instant, isFinal: Bool = false,
        hash: SHA256Value? = nil, certificate: ClientCertificate = .none, settled: SlotID = .none
    ) -> AuthenticationVerdict {
        self.certificate = certificate
        places = CredentialPlaces()
        secrets = SecretRanges()
        guard plan.isPlain else {
            self.settled = settled
            return evaluateOthers(head, plan, now: now, time: time, isFinal: isFinal)
        }
        switch BearerToken(head) {
        case .missing: return .refused(.tokenMissing)
        case .invalid: return .refused(.invalidRequest)
        case .found(let range):
            let token = head.bytes.extracting(range)
            // Before anything is done with it: hashing, too, takes time with the length.
            guard token.count <= maximumBytes(plan) else { return .refused(.tokenTooLarge) }
            let key = hash ?? digest.hash(token)
            switch plan.mode {
            case .single: return evaluate(token, key, plan[0], plan, now: now, time: time, isFinal: isFinal)
            case .any: return evaluateAny(token, key, plan, now: now, time: time, isFinal: isFinal)
            case .all: return evaluateAll(token, key, plan, now: now, time: time, isFinal: isFinal)
            }
        }
    }

    /// What the most generous of the providers takes.
    private borrowing func maximumBytes(_ plan: AuthenticationPlan) -> Int {
        var most = 0
        for i in 0..<Int(plan.count) where providers.contains(plan[i]) {
            most = max(most, providers[plan[i]].rules.maximumBytes)
        }
        return most
    }

    /// One of several: whoever has seen the token, else whose issuer it names.
    private mutating func evaluateAny(
        _ token: borrowing Span<UInt8>, _ key: SHA256Value, _ plan: AuthenticationPlan, now: Int64, time: Instant,
        isFinal: Bool
    ) -> AuthenticationVerdict {
        var asked = plan[0]
        for i in 0..<Int(plan.count) where providers.contains(plan[i]) {
            guard find(key, plan[i], now: now) != nil else { continue }
            asked = plan[i]
            break
        }
        return evaluate(token, key, asked, plan, now: now, time: time, isFinal: isFinal)
    }

    /// Every provider has to vouch for the request.
    private mutating func evaluateAll(
        _ token: borrowing Span<UInt8>, _ key: SHA256Value, _ plan: AuthenticationPlan, now: Int64, time: Instant,
        isFinal: Bool
    ) -> AuthenticationVerdict {
        var found = PrincipalSet()
        for i in 0..<Int(plan.count) {
            let one = AuthenticationPlan(.any, [plan[i]])
            let verdict = evaluate(token, key, plan[i], one, now: now, time: time, isFinal: isFinal)
            guard case .authenticated(let principal) = verdict else {
                for k in 0..<Int(found.count) { release(found[k]) }
                return verdict
            }
            found.add(principal)
        }
        return .authenticatedByAll(found)
    }

    /// The verdict of one provider on a token that was cut out; `plan` says which others may judge it instead.
    mutating func evaluate(
        _ token: borrowing Span<UInt8>, _ key: SHA256Value, _ id: SlotID, _ plan: AuthenticationPlan, now: Int64,
        time: Instant, isFinal: Bool
    ) -> AuthenticationVerdict {
        // A reload took it away while the request waited for it.
        guard providers.contains(id) else { return .refused(.overloaded) }
        guard token.count <= providers[id].rules.maximumBytes else { return .refused(.tokenTooLarge) }
        if let entry = find(key, id, now: now) {
            hits &+= 1
            providers[id].cache.hold(entry)
            return .authenticated(Principal(provider: id, entry: entry))
        }
        if let response = refused.find(key, provider: id, plan, now: now) {
            negativeHits &+= 1
            return .refused(response)
        }
        guard budget > 0 else {
            postponed = key
            return .later
        }
        misses &+= 1
        var judge = id
        do throws(TokenRefusal) {
            return try verify(token, key, id, plan, now, &judge)
        } catch {
            if let wait = waitForKeys(after: error, judge, time: time, isFinal: isFinal) {
                return .awaitKeys(provider: judge, atMost: wait)
            }
            let response = Self.answer(error, to: token)
            if error.isLasting {
                let seconds = providers[id].negativeSeconds
                refused.insert(key, provider: id, plan, response, now: now, seconds: seconds)
            }
            return .refused(response)
        }
    }

    private static func answer(_ refusal: TokenRefusal, to token: borrowing Span<UInt8>) -> LocalResponse {
        // Blanks and commas are no characters of a token, so only what has no token's shape can be several credentials.
        let isShape = refusal == .malformed || refusal == .encrypted
        return isShape && BearerToken.hasSeveralParts(token) ? .invalidRequest : LocalResponse(refusal)
    }

    private mutating func verify(
        _ token: borrowing Span<UInt8>, _ key: SHA256Value, _ route: SlotID, _ plan: AuthenticationPlan, _ now: Int64,
        _ judge: inout SlotID
    ) throws(TokenRefusal) -> AuthenticationVerdict {
        let claims = try UnverifiedClaims.decode(token, maximumBytes: providers[route].rules.maximumBytes)
        judge = choose(claims, route, plan)
        let isAsked = judge == route || plan.contains(judge)
        // A good token of another provider says so whether it was seen before or not, and never gets in.
        if !isAsked, find(key, judge, now: now) != nil { return .refused(.providerMismatch) }
        let checked = verifier.verifications
        defer { budget -= Int(verifier.verifications &- checked) }
        let verified = try verifier.verify(
            claims, of: token, keys: providers[judge].keys, rules: providers[judge].rules, digest: digest, now: now)
        let key = try self.key(key, of: verified, provider: judge)
        let identity = try Identity.encode(
            verified, providers[judge].rules, providers[judge].plan, &finder, &reader, &fields, into: &text)
        guard let entry = providers[judge].keep(key, verified, identity, text, now: now) else {
            return .refused(.overloaded)
        }
        providers[judge].keepFacts(entry, verified, &revocationKeys, &finder, &reader, &text)
        guard isAsked else {
            providers[judge].cache.discard(entry)
            return .refused(.providerMismatch)
        }
        providers[judge].cache.hold(entry)
        return .authenticated(Principal(provider: judge, entry: entry))
    }

    /// How long a request may wait for the key that would make its token good; nil: not at all.
    private mutating func waitForKeys(
        after refusal: TokenRefusal, _ judge: SlotID, time: Instant, isFinal: Bool
    ) -> Duration? {
        if refusal == .keyUnknown {
            guard let id = verifier.unknownKeyID else { return nil }
            if isFinal { providers[judge].absentKeys.note(id, now: time) }
            if providers[judge].absentKeys.contains(id, now: time) { return nil }
        } else if refusal != .keysUnavailable {
            return nil
        }
        return isFinal ? nil : providers[judge].waitForKeys(now: time)
    }

    /// Whose keys and rules judge the token: the provider that is asked, unless the token says that it comes from the issuer of
    /// another one. Those of the location come first, then one of them that takes every issuer.
    private mutating func choose(
        _ claims: borrowing UnverifiedClaims, _ route: SlotID, _ plan: AuthenticationPlan
    ) -> SlotID {
        guard order.count > 1 || plan.count > 1, let issuer = claims.issuer(&reader) else { return route }
        var open = providers[route].rules.issuer == nil ? route : SlotID.none
        if isIssuer(issuer, of: claims, route) { return route }
        for i in 0..<Int(plan.count) where plan[i] != route && providers.contains(plan[i]) {
            if isIssuer(issuer, of: claims, plan[i]) { return plan[i] }
            if open == .none && providers[plan[i]].rules.issuer == nil { open = plan[i] }
        }
        if open != .none { return open }
        for i in 0..<order.count where isIssuer(issuer, of: claims, order[i]) { return order[i] }
        return route
    }
    /// The name of the provider that judges the token where `route` is asked for it: for telling why it was judged so.
    package mutating func judge(
        of token: borrowing Span<UInt8>, asking route: SlotID, _ plan: AuthenticationPlan
    ) -> String? {
        guard providers.contains(route) else { return nil }
        do throws(TokenRefusal) {
            let claims = try UnverifiedClaims.decode(token, maximumBytes: providers[route].rules.maximumBytes)
            return name(of: choose(claims, route, plan))
        } catch {
            return name(of: route)
        }
    }
    private borrowing func isIssuer(
        _ issuer: JSONEvent, of claims: borrowing UnverifiedClaims, _ id: SlotID
    ) -> Bool {
        guard let name = providers[id].rules.issuer else { return false }
        return claims.issuer(issuer, equals: name.span)
    }

    /// Ends what `evaluate` began; the principal means nothing afterwards.
    package mutating func release(_ principal: Principal) {
        guard providers.contains(principal.provider) else { return }
        providers[principal.provider].cache.release(principal.entry)
        destroyIfUnused(principal.provider)
    }

    /// A request waits for the provider, until `stopWaiting`.
    package mutating func wait(for provider: SlotID) {
        if providers.contains(provider) { providers[provider].waiting += 1 }
    }
    package mutating func stopWaiting(for provider: SlotID) {
        guard providers.contains(provider) else { return }
        providers[provider].waiting -= 1
        destroyIfUnused(provider)
    }

    private mutating func destroyIfUnused(_ id: SlotID) {
        guard providers[id].isRetired && providers[id].isUnused else { return }
        providers.destroy(id)
        retired.removeAll { $0 == id }
    }
}

// Configuration and keys
extension Authenticator {
    /// Takes over the providers of a new configuration. Those that judge as before keep their keys and cached verdicts; a
    /// changed one keeps only the keys it fetched; principals that are held stay readable.
    package mutating func update(_ configured: [AuthProvider], _ revoked: [Revocation] = []) {
        refused.removeAll()
        revocations.update(revoked)
        keepsFacts = !revoked.isEmpty
        var new = FixedArray(repeating: SlotID.none, count: configured.count)
        for (i, provider) in configured.enumerated() { new[i] = carryOver(provider) }
        for i in 0..<order.count {
            var isKept = false
            for k in 0..<new.count where new[k] == order[i] { isKept = true }
            if !isKept { retire(order[i]) }
        }
        order = new
    }

    private mutating func carryOver(_ configured: AuthProvider) -> SlotID {
        var fetched: JSONWebKeySet?
        for i in 0..<order.count where providers[order[i]].configuration.name == configured.name {
            // Of what is cached without facts nothing can be said once it matters what was revoked.
            let knowsEnough = providers[order[i]].keepsFacts || !keepsFacts
            if knowsEnough && providers[order[i]].judgesAlike(configured) {
                providers[order[i]].adopt(configured)
                return order[i]
            }
            // The same source, asked under other rules: its keys are as good as they were.
            if providers[order[i]].configuration.keySources == configured.keySources {
                fetched = providers[order[i]].fetchedKeys
            }
        }
        let provider = TokenProvider(
            configured, workers: workers, fetchedKeys: fetched, keepsFacts: keepsFacts)
        guard let id = providers.insert(provider) else { preconditionFailure("more than 1024 providers") }
        return id
    }

    private mutating func retire(_ id: SlotID) {
        providers[id].isRetired = true
        earlierEvictions &+= providers[id].cache.evictions
        guard !providers[id].isUnused else { return providers.destroy(id) }
        retired.append(id)
        // Reloads in a row, each with exchanges that outlive it: the oldest principals become nobody.
        if retired.count > Self.maximumProviders / 4 { providers.destroy(retired.removeFirst()) }
    }

    /// Gives the provider of that name what its source of keys has; nil: none that may be used any more. Tokens that a
    /// withdrawn key signed are refused from here on, cached or not.
    package mutating func install(_ keys: JSONWebKeySet?, provider name: String) {
        refused.removeAll()
        for i in 0..<order.count where providers[order[i]].configuration.name == name {
            providers[order[i]].install(keys)
        }
    }

    /// The same for keys of files and a secret, which were read again.
    package mutating func install(local keys: JSONWebKeySet, secret: JSONWebKey?, provider name: String) {
        refused.removeAll()
        for i in 0..<order.count where providers[order[i]].configuration.name == name {
            providers[order[i]].install(local: keys, secret: secret)
        }
    }
    /// The same for API keys: a withdrawn one is refused from here on, seen before or not.
    package mutating func install(_ file: APIKeyFile, provider name: String) {
        for i in 0..<order.count where providers[order[i]].configuration.name == name {
            providers[order[i]].install(file)
        }
    }

    /// A fetch that was asked for brought nothing new; none is made before that time.
    package mutating func keysUnchanged(provider name: String, noFetchBefore time: Instant) {
        for i in 0..<order.count where providers[order[i]].configuration.name == name {
            providers[order[i]].noFetchBefore = time
        }
    }
    /// The provider's name, to ask for its keys.
    package func name(of provider: SlotID) -> String? {
        providers.contains(provider) ? providers[provider].configuration.name : nil
    }
    /// Whom each location asks, in the order of the configuration that was installed last.
    package func plans(_ accesses: [Access]) -> FixedArray<AuthenticationPlan> {
        var plans = FixedArray(repeating: AuthenticationPlan(), count: accesses.count)
        for (i, access) in accesses.enumerated() {
            plans[i] = AuthenticationPlan(access.mode, access.providers.map { order[$0] })
            for provider in access.providers where providers.contains(order[provider]) {
                plans[i].note(providers[order[provider]].configuration)
            }
        }
        return plans
    }

    package var counters: AuthenticationCounters {
        mutating get {
            var sum = AuthenticationCounters()
            sum.hits = hits
            sum.negativeHits = negativeHits
            sum.misses = misses
            sum.verifications = verifier.verifications
            sum.evictions = earlierEvictions
            for i in 0..<order.count {
                sum.entries += providers[order[i]].cache.count
                sum.bytes += providers[order[i]].cache.bytes
                sum.evictions += providers[order[i]].cache.evictions
            }
            return sum
        }
    }
}

// What is known of a principal; nothing of a principal that was released, or of the anonymous one
extension Authenticator {
    /// Whether the list has exactly that element, given in the form of `Authorization`.
    package borrowing func has(
        _ principal: Principal, _ element: borrowing Span<UInt8>, in list: IdentityList
    ) -> Bool {
        guard isReadable(principal) else { return false }
        return providers[principal.provider].cache.has(principal.entry, element, in: list)
    }

    /// Appends the whole list, commas between its elements: for people, since no field holds more than 2 KiB.
    package borrowing func write(_ list: IdentityList, of principal: Principal, to out: inout ByteBuffer) {
        guard isReadable(principal) else { return }
        providers[principal.provider].cache.write(principal.entry, list, to: &out)
    }

    /// Whether an element of the list with a wildcard covers that one; roles have none.
    package borrowing func covers(
        _ principal: Principal, _ element: borrowing Span<UInt8>, in list: IdentityList
    ) -> Bool {
        guard isReadable(principal) else { return false }
        return providers[principal.provider].cache.covers(principal.entry, element, in: list)
    }

    /// What a claim is, by its index among those that the configuration asks for.
    package borrowing func shape(_ principal: Principal, ofClaim index: Int) -> ClaimShape {
        isReadable(principal) ? providers[principal.provider].cache.shape(principal.entry, ofClaim: index) : .absent
    }
    /// Whether the claim is that text, encoded as a field value (`IdentityEncoding`).
    package borrowing func claim(
        _ index: Int, of principal: Principal, equals value: borrowing Span<UInt8>
    ) -> Bool {
        guard isReadable(principal) else { return false }
        return providers[principal.provider].cache.claim(principal.entry, index, equals: value)
    }
    /// Whether the claim is a list with that element, encoded as one.
    package borrowing func claim(
        _ index: Int, of principal: Principal, contains element: borrowing Span<UInt8>
    ) -> Bool {
        guard isReadable(principal) else { return false }
        return providers[principal.provider].cache.claim(principal.entry, index, contains: element)
    }
    /// Appends a claim as a field value: at most 2 KiB, commas between the elements of a list; nothing when it is not there.
    package borrowing func writeClaim(_ index: Int, of principal: Principal, to out: inout ByteBuffer) {
        guard isReadable(principal) else { return }
        providers[principal.provider].cache.writeClaim(principal.entry, index, to: &out)
    }

    /// Appends header fields that were made of the principal before; false when they were not, or were not kept.
    package borrowing func writeFields(_ principal: Principal, stamp: UInt32, to out: inout ByteBuffer) -> Bool {
        guard isReadable(principal) else { return false }
        return providers[principal.provider].cache.writeFields(principal.entry, stamp: stamp, to: &out)
    }
    /// Keeps them for the next request of the same credential. `stamp` stands for how they are made.
    package mutating func keepFields(_ principal: Principal, _ lines: borrowing Span<UInt8>, stamp: UInt32) {
        if isReadable(principal) {
            providers[principal.provider].cache.keepFields(principal.entry, lines, stamp: stamp)
        }
    }
    /// Wall-clock seconds: the credential is good before this one.
    package borrowing func goodUntil(_ principal: Principal) -> Int64 {
        isReadable(principal) ? providers[principal.provider].cache.validity(principal.entry).goodUntil : .min
    }
    /// Bytes that the two texts take at most, for reserving room.
    package borrowing func textCount(_ principal: Principal) -> Int {
        isReadable(principal) ? providers[principal.provider].cache.textCount(principal.entry) : 0
    }

    /// Appends the subject as a field value: no control characters, no blanks at its ends, at most 2 KiB.
    package borrowing func writeSubject(_ principal: Principal, to out: inout ByteBuffer) {
        if isReadable(principal) { providers[principal.provider].cache.writeSubject(principal.entry, to: &out) }
    }
    package borrowing func writeSubject(_ principal: Principal, to out: inout ByteQueue) {
        if isReadable(principal) { providers[principal.provider].cache.writeSubject(principal.entry, to: &out) }
    }

    /// False when the permissions take more than a field.
    package borrowing func showsPermissions(_ principal: Principal) -> Bool {
        isReadable(principal) && providers[principal.provider].cache.showsPermissions(principal.entry)
    }

    /// Appends the permissions as a field value, commas between them; nothing when they take more than 2 KiB.
    package borrowing func writePermissions(_ principal: Principal, to out: inout ByteBuffer) {
        if isReadable(principal) { providers[principal.provider].cache.writePermissions(principal.entry, to: &out) }
    }

    /// Appends the name of the provider that the token came from.
    package borrowing func writeProvider(_ principal: Principal, to out: inout ByteBuffer) {
        guard isReadable(principal) else { return }
        providers[principal.provider].writeName(to: &out)
    }
    package borrowing func writeProvider(_ principal: Principal, to out: inout ByteQueue) {
        guard isReadable(principal) else { return }
        providers[principal.provider].writeName(to: &out)
    }

    borrowing func isReadable(_ principal: Principal) -> Bool {
        principal.isKnown && providers.contains(principal.provider)
            && providers[principal.provider].cache.contains(principal.entry)
    }
}
