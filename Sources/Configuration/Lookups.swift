// Services that are asked about credentials, one question each: where they are and how long they may take.
package import Bytes

/// `url URL` of a provider, with all that is needed to ask there.
package struct LookupTarget: Sendable, Equatable {
    /// What the service speaks.
    package enum Kind: Sendable {
        /// RFC 7662: a token by POST, a JSON object back.
        case introspection
        /// nginx's `auth_request`: the status alone decides.
        case request
    }

    package var provider: String
    package var kind: Kind
    package var address: WebAddress
    /// What the host's name meant when the configuration was read.
    package var addresses: [SocketAddress]
    /// For a whole question, waiting for a free connection included.
    package var timeout: Duration = .seconds(5)
    /// Names of fields of the answer that are wanted, in lower case.
    package var fields: [String] = []
    /// Whom it is believed by, in PEM; nil: by the system's authorities.
    package var authorities: [UInt8]?

    package init(
        provider: String, kind: Kind, address: WebAddress, addresses: [SocketAddress]
    ) {
        self.provider = provider
        self.kind = kind
        self.address = address
        self.addresses = addresses
    }
}

/// Where a credential may stand in a request.
package enum CredentialPlace: Sendable, Equatable, Hashable {
    /// `Authorization: Bearer …`
    case bearer
    /// The value of a field of that name.
    case field([UInt8])
    case cookie([UInt8])
    /// An argument of the query.
    case query([UInt8])

    package enum Kind: UInt8, Sendable, BitwiseCopyable { case bearer, field, cookie, query }
}

extension LookupTarget {
    /// Nobody on the way reads or changes what is said, and nobody who rules over names can lead it to this machine.
    var isSafeWithoutAsking: Bool {
        if !address.isTLS && !address.isLiteralLoopback { return false }
        let admitted = address.admit(addresses.map(\.address), isConfigured: true, allowsInternal: false)
        return admitted == .found(addresses)
    }
}

extension ProviderDraft {
    mutating func note(_ statement: Statement) { lookupSetting = lookupSetting ?? statement.name }

    mutating func readURL(_ word: Argument) throws(Diagnostic) {
        let address: WebAddress
        do throws(WebAddress.Fault) {
            address = try WebAddress(word.text)
        } catch {
            switch error {
            case .scheme:
                throw word.error("\"\(word.shown)\" is not an address of a service: https://… or http://… is expected")
            case .characters: throw word.error("\"\(word.shown)\" holds characters that an address cannot have")
            case .host: throw word.error("\"\(word.shown)\" has no valid host and port")
            }
        }
        url = word
        provider.lookup = LookupTarget(
            provider: provider.name, kind: provider.kind == .request ? .request : .introspection, address: address,
            addresses: [])
    }
    /// When every line was read.
    mutating func finishLookup() {
        provider.lookup?.timeout = timeout
        provider.lookup?.authorities = provider.lookupAuthorities?.certificates
        lookUp = provider.lookup?.address.lookUp(isConfigured: true, allowsInternal: allowsClearText)
        if case .found(let addresses)? = lookUp { provider.lookup?.addresses = addresses }
        provider.lookup?.fields =
            provider.kind == .request
            ? ["www-authenticate"] + provider.copiedFields.map { $0.lowercased() } : []
        if let clientID { provider.lookupClient = LookupClient(id: clientID, secret: clientSecret ?? "") }
    }
}

extension ConfigurationReader {
    mutating func checkLookup(_ draft: ProviderDraft, _ statement: Statement) throws(Diagnostic) {
        let provider = draft.provider
        try draft.checkAudienceMatch()
        if draft.clientSecret != nil, draft.clientID == nil {
            report(statement.error("\"client_secret\" needs \"client_id\""))
        }
        if draft.clientID != nil, draft.clientSecret == nil {
            report(statement.error("\"client_id\" needs \"client_secret\""))
        }
        switch provider.kind {
        case .jwt, .clientCertificate: return
        case .apiKey:
            if provider.apiKeys != nil, let url = draft.url {
                throw url.error("keys come from a file or from a service, not from both")
            }
            if provider.apiKeys == nil, provider.lookup == nil {
                throw statement.error(
                    "provider \"\(statement.arguments[0].shown)\" has no keys",
                    suggestion: "say \"file PATH\" or \"url URL\"")
            }
        case .introspection, .request:
            if provider.lookup == nil {
                throw statement.error("provider \"\(statement.arguments[0].shown)\" needs \"url\"")
            }
        }
        guard let lookup = provider.lookup, let url = draft.url else {
            if let setting = draft.lookupSetting {
                throw setting.error("\"\(setting.text)\" means nothing without \"url\"")
            }
            return
        }
        if !draft.allowsClearText, !lookup.address.isTLS, !lookup.address.isLiteralLoopback {
            throw url.error(
                "credentials over plain http can be read by anybody on the way",
                suggestion: "use https, a literal loopback address such as 127.0.0.1, or say \"insecure on\"")
        }
        let host = url.isSecret ? "***" : lookup.address.host
        switch draft.lookUp {
        case .found?, nil: return
        case .unknown?: throw url.error("the host name \"\(host)\" has no address")
        case .forbidden?:
            throw url.error(
                "\"\(host)\" leads to this machine or its link: whoever rules over that name could have meant that",
                suggestion: "write the address, or say \"insecure on\"")
        }
    }

    mutating func readAPIKeys(_ word: Argument) throws(Diagnostic) -> APIKeyFile {
        let path = try path(word)
        do throws(APIKeyFileError) {
            return try APIKeyFile(path)
        } catch {
            throw word.error(error.message(word.isSecret ? "***" : path))
        }
    }

    /// Certificates are shown only where TLS is spoken and they are asked for.
    mutating func checkCertificateProviders() {
        for location in configuration.locations {
            let asks = location.access.providers.contains { configuration.providers[$0].kind == .clientCertificate }
            guard asks else { continue }
            if configuration.servers[location.server].tls?.clients != nil { continue }
            report(
                Diagnostic(
                    at: location.position,
                    "\"auth\" asks for a client's certificate here, but this server has no address with \"ssl\" and "
                        + "\"ssl_verify_client\"", length: 6))
        }
    }
}
