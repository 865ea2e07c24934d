// The rows of the providers that are not `jwt`: keys of a file, services that are asked, certificates; and of what tokens
// share with them.
internal import Bytes
internal import JOSE

extension ProviderKind {
    var block: BlockKind {
        switch self {
        case .jwt: .authProvider
        case .apiKey: .apiKeyProvider
        case .introspection: .introspectionProvider
        case .request: .requestProvider
        case .clientCertificate: .certificateProvider
        }
    }
}

extension ProviderDraft {
    /// By the block that they may stand in.
    static let otherRows: [BlockKind: [Directive<ProviderDraft>]] = [
        .apiKeyProvider: [fileRow] + lookupRows(.apiKeyProvider) + clientRows(.apiKeyProvider) + [fromRow, prefixRow],
        .introspectionProvider: lookupRows(.introspectionProvider) + clientRows(.introspectionProvider)
            + introspectionRows
            + [tokenFromRow(.introspectionProvider), boundTokensRow(.introspectionProvider)],
        .requestProvider: lookupRows(.requestProvider) + [copyRow],
        .certificateProvider: [subjectRow],
    ]

    // MARK: services

    private static func lookupRows(_ block: BlockKind) -> [Directive<ProviderDraft>] {
        [
            Directive(
                row: DirectiveRow(
                    name: "url", blocks: [block], form: "URL", arity: 1...1,
                    summary: "The service that is asked; its name is looked up when the configuration is read"),
                read: { statement, draft, _ throws(Diagnostic) in
                    try draft.readURL(statement.arguments[0])
                },
                write: { $0.provider.lookup.map { [WrittenLine([Syntax.quoted($0.address.url)])] } ?? [] }),
            // A client waits as long, and a gateway must not hold more requests than it can.
            .lookupSetting(
                "timeout", block, .time(.milliseconds(100) ... .seconds(60)), \.timeout,
                "How long a question may take before the service counts as failed"),
            .lookupSetting(
                "insecure", block, .flag, \.allowsClearText,
                "Whether a service may be asked over plain http elsewhere than at a literal loopback address, or have "
                    + "a name that leads to this machine or its link"),
            .lookupSetting(
                TrustedAuthorities.row(block, \.provider.lookupAuthorities, servers: "the service is")),
            .lookupSetting(
                "on_error", block,
                .choice([("503", LookupErrorPolicy.unavailable), ("403", .deny), ("allow", .allow)]),
                \.provider.onError,
                "What a request gets while the service fails: 503, 403, or on without an identity"),
            .lookupSetting(
                "cache", block, Codec.time(.seconds(1) ... .seconds(86_400)).or("off"), \.provider.lookupTTL,
                "How long an answer that lets somebody in is remembered, if it does not end before; off: not at all"),
        ]
    }
    private static func clientRows(_ block: BlockKind) -> [Directive<ProviderDraft>] {
        [
            Directive(
                row: DirectiveRow(
                    name: "client_id", blocks: [block], form: "TEXT", arity: 1...1,
                    summary: "Who asks, for HTTP Basic authentication at the service"),
                read: { statement, draft, _ throws(Diagnostic) in
                    draft.note(statement)
                    draft.clientID = statement.arguments[0].text
                },
                write: { $0.clientID.map { [WrittenLine([Syntax.quoted($0)])] } ?? [] }),
            Directive(
                row: DirectiveRow(
                    name: "client_secret", blocks: [block], form: "TEXT", arity: 1...1,
                    summary: "What proves it; best as ${file:…} or ${env:…}"),
                read: { statement, draft, _ throws(Diagnostic) in
                    draft.note(statement)
                    draft.clientSecret = statement.arguments[0].text
                },
                write: { $0.clientSecret.map { [WrittenLine([Syntax.quoted($0)])] } ?? [] }),
        ]
    }
    private static let introspectionRows: [Directive<ProviderDraft>] = [
        Directive(
            row: DirectiveRow(
                name: "issuer", blocks: [.introspectionProvider], form: "TEXT | off", arity: 1...1,
                summary: "What \"iss\" of an answer must be, letter by letter"),
            read: { statement, draft, _ throws(Diagnostic) in
                let word = statement.arguments[0]
                guard !word.text.isEmpty else { throw word.error("an issuer cannot be empty") }
                draft.provider.issuer = word.text == "off" && !word.isQuoted ? nil : word.text
            },
            write: { draft in
                guard let issuer = draft.provider.issuer else { return [WrittenLine(["off"])] }
                return [WrittenLine([issuer == "off" ? "\"off\"" : Syntax.quoted(issuer)])]
            }),
        Directive(
            row: DirectiveRow(
                name: "audience", blocks: [.introspectionProvider], form: "TEXT… | off", arity: 1 ... .max,
                summary:
                    "What \"aud\" of an answer must contain: any of these, or all (audience_match), letter by letter"),
            read: { statement, draft, _ throws(Diagnostic) in
                draft.provider.audience = try words(statement, none: "off")
            },
            write: { [WrittenLine($0.provider.audience.isEmpty ? ["off"] : $0.provider.audience.map(Syntax.quoted))] }),
        audienceMatchRow(.introspectionProvider),
        Directive(
            row: DirectiveRow(
                name: "required_claims", blocks: [.introspectionProvider], form: "NAME… | none", arity: 1 ... .max,
                summary: "Members that an answer must have"),
            read: { statement, draft, _ throws(Diagnostic) in
                draft.provider.requiredClaims = try words(statement, none: "none")
            },
            write: { draft in
                let names = draft.provider.requiredClaims
                return [WrittenLine(names.isEmpty ? ["none"] : names.map(Syntax.quoted))]
            }),
        .setting(
            "token_max_size", in: [.introspectionProvider], .size(256...1 << 20), \.provider.tokenSize,
            "Bytes of a token"),
        .setting(
            "leeway", in: [.introspectionProvider], .time(.zero ... .seconds(600)), \.provider.leeway,
            "How far clocks may differ when times in an answer are judged"),
        ClaimNames.row(in: .introspectionProvider),
    ]
    private static let copyRow = Directive<ProviderDraft>(
        row: DirectiveRow(
            name: "copy", blocks: [.requestProvider], form: "FIELD…", arity: 1 ... .max,
            summary: "Fields of the service's answer that go to the upstream; the client's own are always removed"),
        read: { statement, draft, _ throws(Diagnostic) in
            draft.provider.copiedFields = try statement.arguments.distinct { word throws(Diagnostic) in
                guard CredentialPlace.isToken(word.text), !CredentialPlace.framing.contains(word.text.lowercased())
                else { throw word.error("\"\(word.shown)\" is no field that can be copied") }
                return word.text
            }
        },
        write: { $0.provider.copiedFields.isEmpty ? [] : [WrittenLine($0.provider.copiedFields.map(Syntax.quoted))] })

    // MARK: keys and certificates

    private static let fileRow = Directive<ProviderDraft>(
        row: DirectiveRow(
            name: "file", blocks: [.apiKeyProvider], form: "PATH", arity: 1...1,
            summary:
                "Keys by their hashes: {\"keys\":[{\"id\":…,\"hash\":…,\"subject\":…,\"permissions\":[…]}]}; read again when "
                + "the file changes"),
        read: { statement, draft, reader throws(Diagnostic) in
            draft.provider.apiKeys = try reader.readAPIKeys(statement.arguments[0])
        },
        write: { $0.provider.apiKeys.map { [WrittenLine([Syntax.quoted($0.path)])] } ?? [] })
    private static let prefixRow = Directive<ProviderDraft>(
        row: DirectiveRow(
            name: "prefix", blocks: [.apiKeyProvider], form: "TEXT", arity: 1...1,
            summary: "What every key begins with: others are refused unseen"),
        read: { statement, draft, _ throws(Diagnostic) in
            let word = statement.arguments[0]
            guard (1...64).contains(word.text.utf8.count), word.text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
                throw word.error("a prefix has 1 to 64 visible ASCII characters")
            }
            draft.provider.keyPrefix = word.text
        },
        write: { $0.provider.keyPrefix.map { [WrittenLine([Syntax.quoted($0)])] } ?? [] })
    private static let subjectRow = Directive<ProviderDraft>.setting(
        "subject", in: [.certificateProvider],
        .choice([("san", CertificateSubject.san), ("cn", .cn), ("dn", .dn)]), \.provider.certificateSubject,
        "Which name of the certificate says who it is: san, the first URI, host name or mail address among its "
            + "alternative names; cn, the common name; dn, the whole subject. Rules may name the claims subject_dn, "
            + "subject_cn, issuer_dn, serial, san_dns, san_uri, san_email and san_ip")

    // MARK: places

    private static let fromRow = Directive<ProviderDraft>(
        row: DirectiveRow(
            name: "from", blocks: [.apiKeyProvider], form: "header NAME | cookie NAME | query NAME (or several)",
            arity: 2...16, summary: "Where a key may stand; a request with two of them is refused"),
        read: { statement, draft, _ throws(Diagnostic) in
            draft.provider.places = try CredentialPlace.read(statement, bearer: false)
        },
        write: { [WrittenLine($0.provider.places.flatMap(\.written))] })
    static func tokenFromRow(_ block: BlockKind) -> Directive<ProviderDraft> {
        Directive(
            row: DirectiveRow(
                name: "token_from", blocks: [block], form: "header | cookie NAME | query NAME (or several)",
                arity: 1...16,
                summary:
                    "Where a token may stand, the header being Authorization; a request with two of them is refused"),
            read: { statement, draft, _ throws(Diagnostic) in
                draft.provider.places = try CredentialPlace.read(statement, bearer: true)
            },
            write: { [WrittenLine($0.provider.places.flatMap(\.written))] })
    }
    static func boundTokensRow(_ block: BlockKind) -> Directive<ProviderDraft> {
        .setting(
            "bound_tokens", in: [block],
            .choice([("check", BoundTokens.check), ("require", .require), ("ignore", .ignore)]), \.provider.boundTokens,
            "Tokens bound to a certificate or key of their owner (\"cnf\"): check, where there is a binding it must hold; "
                + "require, each must be bound to the client's certificate; ignore")
    }
}

extension Directive where Block == ProviderDraft {
    /// A setting of the service, which `url` names.
    fileprivate static func lookupSetting<Value>(
        _ name: String, _ block: BlockKind, _ codec: Codec<Value>,
        _ field: any WritableKeyPath<ProviderDraft, Value> & Sendable, _ summary: String
    ) -> Directive {
        lookupSetting(.setting(name, in: [block], codec, field, summary))
    }
    fileprivate static func lookupSetting(_ setting: Directive) -> Directive {
        var directive = setting
        let (read, write) = (directive.read, directive.write)
        directive.read = { statement, draft, reader throws(Diagnostic) in
            draft.note(statement)
            try read(statement, &draft, &reader)
        }
        // Defaults are shown in the reference, where there is no provider yet.
        directive.write = { $0.provider.lookup == nil && !$0.provider.name.isEmpty ? [] : write($0) }
        return directive
    }
}

extension AuthProvider {
    /// Nil: answers are not remembered.
    var lookupTTL: Duration? {
        get { cacheEntries == 0 ? nil : cacheTTL }
        set {
            cacheEntries = newValue == nil ? 0 : 100_000
            if let newValue { cacheTTL = newValue }
        }
    }
}

extension CredentialPlace {
    /// Fields that frame a message or belong to one connection, and the one that tokens have.
    static let framing: Set<String> = [
        "authorization", "connection", "content-length", "cookie", "expect", "host", "keep-alive", "proxy-connection",
        "te", "trailer", "transfer-encoding", "upgrade", "set-cookie", "www-authenticate",
    ]
    static func isToken(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
                default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
                }
            }
    }

    static func read(_ statement: Statement, bearer: Bool) throws(Diagnostic) -> [CredentialPlace] {
        var places: [CredentialPlace] = []
        var rest = statement.arguments[...]
        while let word = rest.popFirst() {
            let place: CredentialPlace
            if word.text == "header", bearer {
                place = .bearer
            } else {
                place = try named(word, rest.popFirst())
            }
            if places.contains(place) { throw word.error("\"\(word.shown)\" is said twice") }
            places.append(place)
        }
        return places
    }
    private static func named(_ kind: Argument, _ name: Argument?) throws(Diagnostic) -> CredentialPlace {
        guard ["header", "cookie", "query"].contains(kind.text) else {
            throw kind.error("\"\(kind.shown)\" is no place for a credential: there are header, cookie, query")
        }
        guard let name else { throw kind.error("a name must follow \"\(kind.text)\"") }
        let bytes = Array(name.text.utf8)
        guard isToken(name.text) else {
            throw name.error("\"\(name.shown)\" is no name: letters, digits and !#$%&'*+-.^_`|~ are allowed")
        }
        switch kind.text {
        case "header":
            if framing.contains(name.text.lowercased()) {
                throw name.error("\"\(name.shown)\" cannot carry a key: it means something else")
            }
            return .field(bytes)
        case "cookie": return .cookie(bytes)
        default:
            if name.text.contains(where: { "&+%#".contains($0) }) {
                throw name.error("\"\(name.shown)\" is no name of an argument: &, +, % and # mean something else there")
            }
            return .query(bytes)
        }
    }
    var written: [String] {
        func text(_ name: [UInt8]) -> String { Syntax.quoted(String(decoding: name, as: UTF8.self)) }
        switch self {
        case .bearer: return ["header"]
        case .field(let name): return ["header", text(name)]
        case .cookie(let name): return ["cookie", text(name)]
        case .query(let name): return ["query", text(name)]
        }
    }
}
