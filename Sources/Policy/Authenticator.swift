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

    private var providers = SlotTable<TokenProvider>(capacity: maximumProviders)
    private var order = FixedArray(repeating: SlotID.none, count: 0)
    private var retired: [SlotID] = []
    private let workers: Int
    private let digest = SHA256()
    private var verifier = TokenVerifier()
    private var reader = JSONReader()
    /// Of the identity that is being made.
    private var text = ByteBuffer(capacity: 1024)
    /// Requests whose token was verified before.
    package private(set) var hits: UInt64 = 0
    private var misses: UInt64 = 0

    /// `workers`: how many share the limits on cached entries and bytes.
    package init(_ providers: [AuthProvider], workers: Int) {
        self.workers = max(workers, 1)
        update(providers)
    }

    /// Who sends the request, for a route of `provider`. `now` in wall-clock seconds, because tokens say when they end in those.
    package mutating func evaluate(
        _ head: borrowing RequestHead, provider: Int, now: Int64
    ) -> AuthenticationVerdict {
        switch BearerToken(head) {
        case .missing: return .refused(.tokenMissing)
        case .invalid: return .refused(.invalidRequest)
        case .found(let range): return evaluate(head.bytes.extracting(range), provider: provider, now: now)
        }
    }

    /// The same for a token that was already cut out.
    package mutating func evaluate(
        _ token: borrowing Span<UInt8>, provider: Int, now: Int64
    ) -> AuthenticationVerdict {
        let id = order[provider]
        // Before anything is done with it: hashing, too, takes time with the length.
        guard token.count <= providers[id].rules.maximumBytes else { return .refused(.tokenTooLarge) }
        let key = digest.hash(token)
        if let entry = providers[id].find(key, now: now) {
            hits &+= 1
            providers[id].cache.hold(entry)
            return .authenticated(Principal(provider: id, entry: entry))
        }
        misses &+= 1
        do throws(TokenRefusal) {
            return try verify(token, key, id, now)
        } catch {
            // Blanks and commas are no characters of a token, so only what has no token's shape can be several credentials.
            if error == .malformed || error == .encrypted, BearerToken.hasSeveralParts(token) {
                return .refused(.invalidRequest)
            }
            return .refused(LocalResponse(error))
        }
    }

    private mutating func verify(
        _ token: borrowing Span<UInt8>, _ key: SHA256Value, _ route: SlotID, _ now: Int64
    ) throws(TokenRefusal) -> AuthenticationVerdict {
        let claims = try UnverifiedClaims.decode(token, maximumBytes: providers[route].rules.maximumBytes)
        let judge = choose(claims, route)
        // A good token of another provider says so whether it was seen before or not, and never gets in.
        if judge != route, providers[judge].find(key, now: now) != nil { return .refused(.providerMismatch) }
        let verified = try verifier.verify(
            claims, of: token, keys: providers[judge].keys, rules: providers[judge].rules, digest: digest, now: now)
        let identity = try Identity.encode(verified, providers[judge].rules, &reader, into: &text)
        guard let entry = providers[judge].keep(key, verified, identity, text, now: now) else {
            return .refused(.overloaded)
        }
        guard judge == route else {
            providers[judge].cache.discard(entry)
            return .refused(.providerMismatch)
        }
        providers[judge].cache.hold(entry)
        return .authenticated(Principal(provider: judge, entry: entry))
    }

    /// Whose keys and rules judge the token: the route's own provider, unless the token says that it comes from the issuer of
    /// another one.
    private mutating func choose(_ claims: borrowing UnverifiedClaims, _ route: SlotID) -> SlotID {
        guard order.count > 1, let expected = providers[route].rules.issuer, let issuer = claims.issuer(&reader),
            !claims.issuer(issuer, equals: expected.span)
        else { return route }
        for i in 0..<order.count {
            let other = order[i]
            guard other != route, let name = providers[other].rules.issuer else { continue }
            if claims.issuer(issuer, equals: name.span) { return other }
        }
        return route
    }

    /// Ends what `evaluate` began; the principal means nothing afterwards.
    package mutating func release(_ principal: Principal) {
        guard providers.contains(principal.provider) else { return }
        providers[principal.provider].cache.release(principal.entry)
        if providers[principal.provider].isRetired && providers[principal.provider].cache.holds == 0 {
            providers.destroy(principal.provider)
            retired.removeAll { $0 == principal.provider }
        }
    }
}

// Configuration and keys
extension Authenticator {
    /// Takes over the providers of a new configuration. Those that judge as before keep their keys and cached verdicts; a
    /// changed one keeps only the keys it fetched; principals that are held stay readable.
    package mutating func update(_ configured: [AuthProvider]) {
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
            if providers[order[i]].judgesAlike(configured) {
                providers[order[i]].adopt(configured)
                return order[i]
            }
            // The same source, asked under other rules: its keys are as good as they were.
            if providers[order[i]].configuration.keySource?.url == configured.keySource?.url {
                fetched = providers[order[i]].fetchedKeys
            }
        }
        let provider = TokenProvider(configured, workers: workers, fetchedKeys: fetched)
        guard let id = providers.insert(provider) else { preconditionFailure("more than 1024 providers") }
        return id
    }

    private mutating func retire(_ id: SlotID) {
        providers[id].isRetired = true
        guard providers[id].cache.holds > 0 else { return providers.destroy(id) }
        retired.append(id)
        // Reloads in a row, each with exchanges that outlive it: the oldest principals become nobody.
        if retired.count > Self.maximumProviders / 4 { providers.destroy(retired.removeFirst()) }
    }

    /// Gives the provider of that name what its source of keys has; nil: none that may be used any more. Tokens that a
    /// withdrawn key signed are refused from here on, cached or not.
    package mutating func install(_ keys: JSONWebKeySet?, provider name: String) {
        for i in 0..<order.count where providers[order[i]].configuration.name == name {
            providers[order[i]].install(keys)
        }
    }

    package var counters: AuthenticationCounters {
        mutating get {
            var sum = AuthenticationCounters()
            sum.hits = hits
            sum.misses = misses
            sum.verifications = verifier.verifications
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
    /// Whether the token grants exactly that permission, given in the form of `Authorization`.
    package borrowing func grants(_ principal: Principal, _ permission: borrowing Span<UInt8>) -> Bool {
        guard isReadable(principal) else { return false }
        return providers[principal.provider].cache.grants(principal.entry, permission)
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

    /// Appends the permissions as a field value, commas between them; nothing when they take more than 2 KiB.
    package borrowing func writePermissions(_ principal: Principal, to out: inout ByteBuffer) {
        if isReadable(principal) { providers[principal.provider].cache.writePermissions(principal.entry, to: &out) }
    }
    package borrowing func writePermissions(_ principal: Principal, to out: inout ByteQueue) {
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

    private borrowing func isReadable(_ principal: Principal) -> Bool {
        principal.isKnown && providers.contains(principal.provider)
            && providers[principal.provider].cache.contains(principal.entry)
    }
}
