// Judges what is not a signed token in the Authorization field: keys, tokens in other places, certificates, and whatever
// services are asked about. Without I/O: a question is a verdict, and its answer comes back as an argument.
package import Bytes
package import Configuration
import HTTP
import JOSE
import JSON

/// Where the credentials of a request stood.
package struct CredentialPlaces: BitwiseCopyable, Sendable {
    private var bits: UInt8 = 0
    package init() {}
    mutating func insert(_ kind: CredentialPlace.Kind) { bits |= 1 << kind.rawValue }
    package func contains(_ kind: CredentialPlace.Kind) -> Bool { bits & 1 << kind.rawValue != 0 }
    /// Elsewhere than in Authorization, of which every cache knows that answers to it are not for everybody.
    package var isUnusual: Bool { bits & ~(1 << CredentialPlace.Kind.bearer.rawValue) != 0 }
}

/// Bytes of a head that are credentials and stand where logs look.
package struct SecretRanges: BitwiseCopyable, Sendable {
    private struct Bounds: BitwiseCopyable {
        var start: UInt32 = 0
        var end: UInt32 = 0
        var range: Range<Int> { Int(start)..<Int(end) }
    }
    private var bounds = (Bounds(), Bounds())
    private var query = Bounds()
    package init() {}

    package var isEmpty: Bool { bounds.0.end == 0 }
    package var first: Range<Int> { bounds.0.range }
    package var second: Range<Int> { bounds.1.range }
    /// The one that is an argument of the query.
    package var argument: Range<Int> { query.range }

    /// Not forwarded, and never to be seen.
    mutating func hide(_ range: Range<Int>) { insert(range, .field) }
    mutating func insert(_ range: Range<Int>, _ kind: CredentialPlace.Kind) {
        let found = Bounds(
            start: UInt32(truncatingIfNeeded: range.lowerBound), end: UInt32(truncatingIfNeeded: range.upperBound))
        if kind == .query { query = found }
        if isEmpty || range == first { bounds.0 = found } else { bounds.1 = found }
    }
}

extension Authenticator {
    /// Requests that are refused for the same reason again within so many seconds are not asked about.
    private static let refusalSeconds: Int64 = 5

    /// Of a location that has more than bearer tokens of signed kinds.
    mutating func evaluateOthers(
        _ head: borrowing RequestHead, _ plan: AuthenticationPlan, now: Int64, time: Instant, isFinal: Bool
    ) -> AuthenticationVerdict {
        let verdict = judge(head, plan, now, time, isFinal)
        if case .refused(.authServiceRefused) = verdict, settledLookups.contains(settled) {
            passedChallenge = settledLookups[settled].challenge
        }
        return verdict
    }
    private mutating func judge(
        _ head: borrowing RequestHead, _ plan: AuthenticationPlan, _ now: Int64, _ time: Instant, _ isFinal: Bool
    ) -> AuthenticationVerdict {
        switch plan.mode {
        case .single: return judge(head, plan[0], plan, now, time, isFinal)
        case .any: return judgeAny(head, plan, now, time, isFinal)
        case .all:
            var found = PrincipalSet()
            for i in 0..<Int(plan.count) {
                let verdict = judge(head, plan[i], AuthenticationPlan(.any, [plan[i]]), now, time, isFinal)
                guard case .authenticated(let principal) = verdict else {
                    for k in 0..<Int(found.count) { release(found[k]) }
                    return verdict
                }
                // Where a service fails and that is to let requests in, the others say who it is.
                if principal.isKnown { found.add(principal) }
            }
            return found.count == 0 ? .authenticated(.anonymous) : .authenticatedByAll(found)
        }
    }

    /// A credential that the request brings decides, and there may be one only: with two, an attacker would choose which of them
    /// counts. Without any, the connection's certificate does, and then the services that look at whole requests.
    private mutating func judgeAny(
        _ head: borrowing RequestHead, _ plan: AuthenticationPlan, _ now: Int64, _ time: Instant, _ isFinal: Bool
    ) -> AuthenticationVerdict {
        var place = 0..<0
        var holders = ProviderChoice()
        for i in 0..<Int(plan.count) where providers.contains(plan[i]) {
            switch Credential(head, providers[plan[i]].configuration.places) {
            case .missing: continue
            case .invalid:
                hide(head, plan[i])
                return .refused(.invalidRequest)
            case .found(let range, let kind):
                if kind != .bearer { secrets.insert(range, kind) }
                guard holders.isEmpty || range == place else { return .refused(.invalidRequest) }
                place = range
                holders.insert(i)
            }
        }
        let chosen =
            holders.isEmpty ? withoutCredential(plan) : judges(of: head.bytes.extracting(place), holders, plan)
        return chosen.isEmpty ? .refused(missing(plan)) : judgeAny(head, chosen, plan, now, time, isFinal)
    }
    /// One after the other, until one lets the request in. When none does: if it is not known what a service would have said,
    /// that is the answer; else a refusal that other credentials can mend, the first one.
    private mutating func judgeAny(
        _ head: borrowing RequestHead, _ chosen: ProviderChoice, _ plan: AuthenticationPlan, _ now: Int64,
        _ time: Instant, _ isFinal: Bool
    ) -> AuthenticationVerdict {
        var refusal = LocalResponse.overloaded
        var weight = 0
        var isAnonymous = false
        for i in 0..<Int(plan.count) where chosen.contains(i) {
            let verdict = judge(head, plan[i], plan, now, time, isFinal)
            switch verdict {
            case .authenticated(let principal) where !principal.isKnown: isAnonymous = true
            case .refused(.invalidRequest): return verdict
            case .refused(let response):
                let own = response.status == 503 || hasFailed(plan[i]) ? 3 : response.status == 401 ? 2 : 1
                if own > weight { (refusal, weight) = (response, own) }
            default: return verdict
            }
        }
        return isAnonymous ? .authenticated(.anonymous) : .refused(refusal)
    }
    /// Which of the providers that look at a credential's place judge it: of signed tokens the one whom they name; of others,
    /// and of those that name nobody, whoever knows credentials by asking or by their hash.
    private mutating func judges(
        of token: borrowing Span<UInt8>, _ holders: ProviderChoice, _ plan: AuthenticationPlan
    ) -> ProviderChoice {
        guard !holders.isSingle else { return holders }
        var signed = ProviderChoice()
        var others = ProviderChoice()
        for i in 0..<Int(plan.count) where holders.contains(i) {
            guard providers[plan[i]].configuration.kind == .jwt else {
                others.insert(i)
                continue
            }
            if isNamed(plan[i], by: token) { return ProviderChoice(i) }
            if signed.isEmpty { signed.insert(i) }
        }
        return others.isEmpty ? signed : others
    }
    private mutating func isNamed(_ id: SlotID, by token: borrowing Span<UInt8>) -> Bool {
        guard providers[id].configuration.kind == .jwt else { return false }
        do throws(TokenRefusal) {
            let claims = try UnverifiedClaims.decode(token, maximumBytes: providers[id].rules.maximumBytes)
            guard let issuer = providers[id].rules.issuer else { return true }
            guard let named = claims.issuer(&reader) else { return false }
            return claims.issuer(named, equals: issuer.span)
        } catch {
            return false
        }
    }
    private borrowing func withoutCredential(_ plan: AuthenticationPlan) -> ProviderChoice {
        var services = ProviderChoice()
        for i in 0..<Int(plan.count) where providers.contains(plan[i]) {
            let kind = providers[plan[i]].configuration.kind
            if certificate.isPresent, kind == .clientCertificate { return ProviderChoice(i) }
            if kind == .request { services.insert(i) }
        }
        return services
    }
    private borrowing func missing(_ plan: AuthenticationPlan) -> LocalResponse {
        var response = LocalResponse.certificateMissing
        for i in 0..<Int(plan.count) where providers.contains(plan[i]) {
            switch providers[plan[i]].configuration.kind {
            case .jwt, .introspection: return .tokenMissing
            case .apiKey: response = .apiKeyMissing
            case .request, .clientCertificate: break
            }
        }
        return response
    }

    /// Of two credentials neither counts, but neither may be seen.
    private mutating func hide(_ head: borrowing RequestHead, _ id: SlotID) {
        for case .query in providers[id].configuration.places { secrets.hide(head.target.query) }
    }

    /// The verdict of one provider.
    private mutating func judge(
        _ head: borrowing RequestHead, _ id: SlotID, _ plan: AuthenticationPlan, _ now: Int64, _ time: Instant,
        _ isFinal: Bool
    ) -> AuthenticationVerdict {
        // A reload took it away while the request waited for it.
        guard providers.contains(id) else { return .refused(.overloaded) }
        let kind = providers[id].configuration.kind
        switch kind {
        case .clientCertificate: return judgeCertificate(id, now)
        case .request: return judgeRequest(head, id, now)
        case .jwt, .introspection, .apiKey: break
        }
        switch Credential(head, providers[id].configuration.places) {
        case .missing: return .refused(kind == .apiKey ? .apiKeyMissing : .tokenMissing)
        case .invalid:
            hide(head, id)
            return .refused(.invalidRequest)
        case .found(let range, let place):
            places.insert(place)
            if place != .bearer { secrets.insert(range, place) }
            let token = head.bytes.extracting(range)
            switch kind {
            case .apiKey: return judgeKey(token, id, now)
            case .introspection: return judgeOpaque(token, id, now)
            default:
                // Before anything is done with it: hashing, too, takes time with the length.
                guard token.count <= providers[id].rules.maximumBytes else { return .refused(.tokenTooLarge) }
                return evaluate(token, digest.hash(token), id, plan, now: now, time: time, isFinal: isFinal)
            }
        }
    }

    // MARK: keys

    private mutating func judgeKey(_ text: borrowing Span<UInt8>, _ id: SlotID, _ now: Int64) -> AuthenticationVerdict {
        // No key is longer, and only what looks like one is worth a hash.
        guard text.count <= 512, beginsWithPrefix(text, id) else { return .refused(.apiKeyInvalid) }
        let key = digest.hash(text)
        if let known = known(key, id, now) { return known }
        guard providers[id].configuration.apiKeys != nil else {
            return ask(key, id, hint: "api_key", about: text)
        }
        guard let found = providers[id].apiKey(key) else { return .refused(.apiKeyInvalid) }
        if found.isRevoked { return .refused(.apiKeyRevoked) }
        if let end = found.expiresAt, now >= end { return .refused(.apiKeyInvalid) }
        misses &+= 1
        return keep(found.claims, key, id, now, notAfter: found.expiresAt ?? .max)
    }
    private borrowing func beginsWithPrefix(_ text: borrowing Span<UInt8>, _ id: SlotID) -> Bool {
        guard let prefix = providers[id].configuration.keyPrefix else { return true }
        guard text.count > prefix.utf8.count else { return false }
        var i = 0
        for byte in prefix.utf8 {
            if text[i] != byte { return false }
            i += 1
        }
        return true
    }

    /// One of them came by an API key.
    package borrowing func hasKey(_ principals: PrincipalSet) -> Bool {
        for i in 0..<Int(principals.count) where providers.contains(principals[i].provider) {
            if providers[principals[i].provider].configuration.kind == .apiKey { return true }
        }
        return false
    }

    // MARK: tokens that a service knows

    private mutating func judgeOpaque(
        _ token: borrowing Span<UInt8>, _ id: SlotID, _ now: Int64
    ) -> AuthenticationVerdict {
        guard token.count <= providers[id].rules.maximumBytes else { return .refused(.tokenTooLarge) }
        if BearerToken.hasSeveralParts(token) { return .refused(.invalidRequest) }
        let key = digest.hash(token)
        return known(key, id, now) ?? ask(key, id, hint: "access_token", about: token)
    }

    // MARK: whole requests

    private mutating func judgeRequest(
        _ head: borrowing RequestHead, _ id: SlotID, _ now: Int64
    ) -> AuthenticationVerdict {
        guard let call = providers[id].call, let target = providers[id].configuration.lookup else {
            return .refused(.overloaded)
        }
        let bytes = call.request(for: head)
        // What the service is told decides, so the answer to the same words is the same.
        let key = digest.hash(bytes.span)
        if let settled = settledVerdict(of: id) { return settled }
        let isShared = providers[id].configuration.cacheEntries > 0
        if isShared, let known = known(key, id, now) { return known }
        misses &+= 1
        var name = LookupKey(provider: target.provider, digest: key)
        if !isShared {
            questions &+= 1
            name.serial = questions
        }
        lookup = LookupRequest(
            key: name, target: target, bytes: bytes, isShared: isShared)
        return .lookup(provider: id)
    }

    // MARK: certificates

    private mutating func judgeCertificate(_ id: SlotID, _ now: Int64) -> AuthenticationVerdict {
        guard certificate.isPresent else { return .refused(.certificateMissing) }
        return known(certificate.digest, id, now) ?? .nameCertificate(provider: id)
    }
    /// Which name the provider wants to know of a certificate.
    package func certificateSubject(of provider: SlotID) -> CertificateSubject? {
        providers.contains(provider) ? providers[provider].configuration.certificateSubject : nil
    }
    /// Notes whom the certificate of the present request names, with all else that it says; false when there is no room for that.
    package mutating func settle(
        name: borrowing ByteBuffer, _ names: borrowing ByteBuffer, by provider: SlotID, now: Int64,
        in settled: inout SlotID
    ) -> Bool {
        guard providers.contains(provider) else { return false }
        var writer = JSONWriter()
        writer.beginObject()
        writer.name("sub")
        writer.string(name.bytes)
        CertificateClaims.write(names.bytes, to: &writer)
        writer.endObject()
        let claims = bytes(of: writer.buffer)
        misses &+= 1
        let verdict = keep(claims, certificate.digest, provider, now, notAfter: .max)
        return note(outcome(of: verdict), of: provider, in: &settled)
    }

    // MARK: questions and answers

    /// What is known without asking.
    private mutating func known(_ key: SHA256Value, _ id: SlotID, _ now: Int64) -> AuthenticationVerdict? {
        if let settled = settledVerdict(of: id) { return settled }
        if let entry = find(key, id, now: now) {
            hits &+= 1
            providers[id].cache.hold(entry)
            return .authenticated(Principal(provider: id, entry: entry))
        }
        if let response = refused.find(key, provider: id, AuthenticationPlan(.any, [id]), now: now) {
            negativeHits &+= 1
            return .refused(response)
        }
        return nil
    }
    private func outcome(of verdict: AuthenticationVerdict) -> SettledLookup.Outcome {
        switch verdict {
        case .authenticated(let principal): .authenticated(principal)
        case .refused(let response): .refused(response)
        default: .refused(.overloaded)
        }
    }

    private mutating func ask(
        _ key: SHA256Value, _ id: SlotID, hint: StaticString, about credential: borrowing Span<UInt8>
    ) -> AuthenticationVerdict {
        guard let call = providers[id].call, let target = providers[id].configuration.lookup else {
            return .refused(.overloaded)
        }
        misses &+= 1
        lookup = LookupRequest(
            key: LookupKey(provider: target.provider, digest: key), target: target,
            bytes: call.introspection(of: credential, hint: hint),
            isShared: providers[id].configuration.cacheEntries > 0)
        return .lookup(provider: id)
    }
    /// The question of the last verdict, once.
    package mutating func takeLookup() -> LookupRequest? {
        defer { lookup = nil }
        return lookup
    }

    /// Notes what the answer means for a request that waited for it; false when there is no room for that.
    /// - Parameters:
    ///   - certificate: of that request's connection.
    ///   - settled: what came of the request's questions so far.
    package mutating func settle(
        _ key: LookupKey, _ result: LookupResult, provider id: SlotID, certificate: ClientCertificate, now: Int64,
        in settled: inout SlotID
    ) -> Bool {
        guard providers.contains(id) else { return false }
        self.certificate = certificate
        let kind = providers[id].configuration.kind
        switch result {
        case .failed:
            switch providers[id].configuration.onError {
            case .allow: return note(.anonymous, of: id, in: &settled)
            case .deny: return note(.failed(.accessDenied), of: id, in: &settled)
            case .unavailable:
                let response: LocalResponse = kind == .request ? .authServiceUnavailable : .introspectionUnavailable
                return note(.failed(response), of: id, in: &settled)
            }
        case .answered(let answer):
            if let entry = find(key.digest, id, now: now) {
                providers[id].cache.hold(entry)
                return note(.authenticated(Principal(provider: id, entry: entry)), of: id, in: &settled)
            }
            let verdict = kind == .request ? judge(requested: answer, key, id, now) : judge(answer, key, id, now)
            if case .refused(let response) = verdict, kind != .request, response != .bindingMismatch {
                refused.insert(
                    key.digest, provider: id, AuthenticationPlan(.any, [id]), response, now: now,
                    seconds: providers[id].configuration.cacheEntries > 0 ? Self.refusalSeconds : 0)
            }
            return note(outcome(of: verdict), of: id, challenge: challenge(of: answer, after: verdict), in: &settled)
        }
    }
    /// What a service that was asked about whole requests says about who would be let in.
    private func challenge(of answer: LookupAnswer, after verdict: AuthenticationVerdict) -> [UInt8] {
        guard case .refused(.authServiceRefused) = verdict else { return [] }
        return answer.fields.first.flatMap { $0 } ?? Array("Bearer".utf8)
    }
    private mutating func judge(
        _ answer: LookupAnswer, _ key: LookupKey, _ id: SlotID, _ now: Int64
    ) -> AuthenticationVerdict {
        guard answer.isActive else {
            return .refused(providers[id].configuration.kind == .apiKey ? .apiKeyInvalid : .tokenInactive)
        }
        return keep(answer.body, key.digest, id, now, notAfter: end(answer, id))
    }
    private mutating func judge(
        requested answer: LookupAnswer, _ key: LookupKey, _ id: SlotID, _ now: Int64
    ) -> AuthenticationVerdict {
        if answer.status == 401 { return .refused(.authServiceRefused) }
        if answer.status == 403 { return .refused(.accessDenied) }
        var writer = JSONWriter()
        writer.beginObject()
        for (i, field) in providers[id].configuration.copiedFields.enumerated() {
            guard answer.fields.indices.contains(i + 1), let value = answer.fields[i + 1] else { continue }
            writer.name(field)
            writer.string(value.span)
        }
        writer.endObject()
        return keep(bytes(of: writer.buffer), key.digest, id, now, notAfter: end(answer, id))
    }
    /// An answer that others had before is as old as it is.
    private borrowing func end(_ answer: LookupAnswer, _ id: SlotID) -> Int64 {
        let ttl = providers[id].configuration.cacheTTL.components.seconds
        return answer.wallSeconds > 0 ? answer.wallSeconds + ttl : .max
    }

    /// Keeps what somebody vouches for, and holds it for the request.
    private mutating func keep(
        _ document: [UInt8], _ key: SHA256Value, _ id: SlotID, _ now: Int64, notAfter end: Int64
    ) -> AuthenticationVerdict {
        do throws(TokenRefusal) {
            let claims = try VerifiedClaims(vouchedFor: document.span, providers[id].rules, now: now, &reader)
            let key = try self.key(key, of: claims, provider: id)
            let identity = try Identity.encode(
                claims, providers[id].rules, providers[id].plan, &finder, &reader, &fields, into: &text)
            guard let entry = providers[id].keep(key, claims, identity, text, now: now, notAfter: end) else {
                return .refused(.overloaded)
            }
            providers[id].keepFacts(entry, claims, &revocationKeys, &finder, &reader, &text)
            providers[id].cache.hold(entry)
            return .authenticated(Principal(provider: id, entry: entry))
        } catch {
            return .refused(LocalResponse(error))
        }
    }
    private func bytes(of buffer: borrowing ByteBuffer) -> [UInt8] {
        let bytes = buffer.bytes
        return (0..<bytes.count).map { bytes[$0] }
    }
}

extension TokenProvider {
    /// The key of the file with that hash. Which of the hashes are compared says nothing about a key that would pass.
    func apiKey(_ hash: SHA256Value) -> APIKey? {
        guard let keys = configuration.apiKeys?.keys else { return nil }
        var low = 0
        var high = keys.count
        while low < high {
            let middle = (low + high) / 2
            if keys[middle].hash.words.0 < hash.words.0 { low = middle + 1 } else { high = middle }
        }
        while low < keys.count, keys[low].hash.words.0 == hash.words.0 {
            if keys[low].hash == hash { return keys[low] }
            low += 1
        }
        return nil
    }
}

/// Some of the providers of a plan, by their places in it.
private struct ProviderChoice: BitwiseCopyable {
    private var bits: UInt8 = 0

    init() {}
    init(_ i: Int) { insert(i) }
    mutating func insert(_ i: Int) { bits |= 1 << UInt8(truncatingIfNeeded: i) }
    func contains(_ i: Int) -> Bool { bits & 1 << UInt8(truncatingIfNeeded: i) != 0 }
    var isEmpty: Bool { bits == 0 }
    var isSingle: Bool { bits != 0 && bits & (bits &- 1) == 0 }
}
