// Requests that wait for a service to say what it knows about their credential, and the certificates of connections.
import Bytes
import Configuration
import Connections
import HTTP
import Policy
import Reactor
import Transport

extension Worker {
    /// Questions for one request: as many as a location may name providers, and once more each. Each is asked once, unless what
    /// was answered is gone.
    private static var lookupsLimit: UInt8 { 16 }

    /// The request waits; whoever on this worker wants to know the same waits with it.
    mutating func awaitLookup(_ id: SlotID, of provider: SlotID) {
        guard var request = authenticator.takeLookup(), exchanges[id].lookups < Self.lookupsLimit else {
            return refuse(id, .overloaded)
        }
        request.isAnew = exchanges[id].asksAnew
        exchanges[id].lookups += 1
        exchanges[id].waiting = .lookup
        exchanges[id].awaited = provider
        authenticator.wait(for: provider)
        if request.key.serial > 0 { request.key.serial |= UInt64(options.index + 1) << 48 }
        let isFirst = waitingForLookups[request.key] == nil
        waitingForLookups[request.key, default: []].append(id)
        guard isFirst else { return }
        request.worker = options.index
        options.lookups.post(.ask(request))
    }
    /// Everybody who waits for it goes on.
    mutating func lookedUp(_ key: LookupKey, _ result: LookupResult) {
        guard let ids = waitingForLookups.removeValue(forKey: key) else { return }
        for id in ids where exchanges.contains(id) && exchanges[id].waiting == .lookup {
            let certificate = certificate(of: id)
            let isNoted = authenticator.settle(
                key, result, provider: exchanges[id].awaited, certificate: certificate, now: loop.wallSeconds,
                in: &exchanges[id].settled)
            // Nobody is asked again what cannot be kept.
            if !isNoted { exchanges[id].lookups = Self.lookupsLimit }
            takeUp(id, isFinal: false)
        }
    }

    /// What the connection of that request has shown; nothing where nobody asks.
    mutating func certificate(of id: SlotID) -> ClientCertificate {
        let client = exchanges[id].client
        guard clients[client].isTLS,
            snapshots[exchanges[id].snapshot].plans[Int(route(of: id).location)].wantsCertificate
        else { return .none }
        text.clear()
        guard clients[client].appendCertificateDigest(to: &text) else { return .none }
        return ClientCertificate(digest: text.bytes)
    }
    /// Whom the certificate names decides; without that name it is worth nothing.
    mutating func nameCertificate(_ id: SlotID, for provider: SlotID, _ route: Route) {
        text.clear()
        guard exchanges[id].lookups < Self.lookupsLimit, let subject = authenticator.certificateSubject(of: provider),
            clients[exchanges[id].client].appendCertificateName(PeerName(subject), to: &text)
        else { return deny(id, .certificateInvalid, route) }
        names.clear()
        guard clients[exchanges[id].client].appendCertificateNames(to: &names) else {
            return deny(id, .certificateInvalid, route)
        }
        exchanges[id].lookups += 1
        guard settleName(of: id, by: provider) else { return refuse(id, .overloaded) }
        authenticate(id, route)
    }
    private mutating func settleName(of id: SlotID, by provider: SlotID) -> Bool {
        authenticator.settle(name: text, names, by: provider, now: loop.wallSeconds, in: &exchanges[id].settled)
    }

    /// What is to be known of the request's credentials when it is forwarded and logged.
    mutating func noteCredentials(_ id: SlotID) {
        exchanges[id].places = authenticator.places
        exchanges[id].secrets = authenticator.secrets
        if authenticator.places.contains(.query) {
            heads[exchanges[id].head].hideArgument(at: authenticator.secrets.argument)
        }
    }
    mutating func maskSecrets(of id: SlotID) {
        heads[exchanges[id].head].mask(exchanges[id].secrets.first)
        heads[exchanges[id].head].mask(exchanges[id].secrets.second)
        heads[exchanges[id].head].showArgument()
    }
}

extension PeerName {
    fileprivate init(_ subject: CertificateSubject) {
        self =
            switch subject {
            case .san: .alternative
            case .cn: .common
            case .dn: .distinguished
            }
    }
}
