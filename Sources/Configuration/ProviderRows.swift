// The rows of `auth_provider NAME jwt { … }`, and what a provider must have said to be safe.
internal import Bytes
internal import JOSE

/// A provider while it is read.
struct ProviderDraft {
    var provider: AuthProvider
    var issuerIsSaid = false
    var audienceIsSaid = false
    /// `audience_match`
    var audienceMatch: Argument?
    /// The words of `algorithms`; nil: it was not said.
    var algorithmWords: [Argument]?
    var secretWord: Argument?
    /// The words behind `keySources`, and the one of `discovery`.
    var sourceWords: [Argument] = []
    var discovery: Argument?
    /// `jwks_refresh` or another one that needs a source.
    var sourceSetting: Argument?
    /// `url`, and the settings that mean nothing without it.
    var url: Argument?
    var lookupSetting: Argument?
    /// Where its name leads.
    var lookUp: WebAddress.LookUp?
    var timeout: Duration = .seconds(5)
    var clientID: String?
    var clientSecret: String?
    var allowsClearText = false

    init(_ provider: AuthProvider) {
        self.provider = provider
        clientID = provider.lookupClient?.id
        clientSecret = provider.lookupClient?.secret
        guard let lookup = provider.lookup else { return }
        timeout = lookup.timeout
        allowsClearText = !lookup.isSafeWithoutAsking
    }

    fileprivate mutating func add(_ kind: KeySource.Kind, _ word: Argument) throws(Diagnostic) {
        let source = try KeySource(kind, word)
        guard !provider.keySources.contains(where: { $0.address == source.address }) else {
            throw word.error("\"\(word.shown)\" is said twice")
        }
        guard provider.keySources.count < KeySource.maximumCount else {
            throw word.error("a provider may have at most \(KeySource.maximumCount) sources of keys")
        }
        provider.keySources.append(source)
        sourceWords.append(word)
    }
    fileprivate func written(_ kind: KeySource.Kind) -> [WrittenLine] {
        let addresses = provider.keySources.filter { $0.kind == kind }.map { Syntax.quoted($0.address.url) }
        return addresses.isEmpty ? [] : [WrittenLine(addresses)]
    }

    static func rows(of kind: ProviderKind) -> [Directive<ProviderDraft>] {
        kind == .jwt ? signedTokenRows : otherRows[kind.block] ?? []
    }
    private static let signedTokenRows: [Directive<ProviderDraft>] =
        identityRows + keyRows + fetchingRows + tokenRows
        + [tokenFromRow(.authProvider), boundTokensRow(.authProvider)]

    private static let identityRows: [Directive<ProviderDraft>] = [
        Directive(
            row: DirectiveRow(
                name: "issuer", blocks: [.authProvider], form: "TEXT | off", arity: 1...1,
                summary: "What \"iss\" must be, letter by letter; required"),
            read: { statement, draft, _ throws(Diagnostic) in
                let word = statement.arguments[0]
                guard !word.text.isEmpty else { throw word.error("an issuer cannot be empty") }
                draft.issuerIsSaid = true
                draft.provider.issuer = word.text == "off" && !word.isQuoted ? nil : word.text
            },
            write: { draft in
                guard let issuer = draft.provider.issuer else { return [WrittenLine(["off"])] }
                return [WrittenLine([issuer == "off" ? "\"off\"" : Syntax.quoted(issuer)])]
            }),
        Directive(
            row: DirectiveRow(
                name: "audience", blocks: [.authProvider], form: "TEXT… | off", arity: 1 ... .max,
                summary: "What \"aud\" must contain: any of these, or all (audience_match), letter by letter; required"),
            read: { statement, draft, _ throws(Diagnostic) in
                draft.audienceIsSaid = true
                draft.provider.audience = try words(statement, none: "off")
            },
            write: { [WrittenLine($0.provider.audience.isEmpty ? ["off"] : $0.provider.audience.map(Syntax.quoted))] }),
        audienceMatchRow(.authProvider),
    ]

    private static let keyRows: [Directive<ProviderDraft>] = [
        Directive(
            row: DirectiveRow(
                name: "jwks", blocks: [.authProvider], form: "URL…", arity: 1 ... .max,
                summary: "Where keys are fetched in the background, as JWK Sets; the keys of all of them count"),
            read: { statement, draft, _ throws(Diagnostic) in
                for word in statement.arguments { try draft.add(.keys, word) }
            },
            write: { $0.written(.keys) }),
        Directive(
            row: DirectiveRow(
                name: "discovery", blocks: [.authProvider], form: "URL", arity: 1...1,
                summary:
                    "The issuer's metadata, which say where its keys are: a document of OpenID Connect or RFC 8414, or "
                    + "the address before /.well-known/openid-configuration"),
            read: { statement, draft, _ throws(Diagnostic) in
                try draft.add(.discovery, statement.arguments[0])
                draft.discovery = statement.arguments[0]
            },
            write: { $0.written(.discovery) }),
        Directive(
            row: DirectiveRow(
                name: "key_file", blocks: [.authProvider], form: "PATH…", arity: 1 ... .max,
                summary:
                    "Public keys of files: PEM or JWK Set; patterns are allowed, a folder stands for its *.pem and "
                    + "*.json; read again when they change"),
            read: { statement, draft, reader throws(Diagnostic) in
                for pattern in statement.arguments { try reader.readKeys(pattern, into: &draft.provider) }
            },
            write: { $0.provider.keyFiles.isEmpty ? [] : [WrittenLine($0.provider.keyFiles.map(Syntax.quoted))] }),
        secretRow,
        .sourceSetting(
            "jwks_refresh", .time(.seconds(10) ... .seconds(7 * 86_400)),
            \.provider.keyFetching.refresh,
            "How long fetched keys are fresh unless Cache-Control says it, from 60s to 24h; they are fetched again a "
                + "little earlier"),
        .sourceSetting(
            "stale_if_error", .time(.zero ... .seconds(365 * 86_400)),
            \.provider.keyFetching.staleIfError,
            "How long the last good keys serve while their source is down; 0: not at all"),
        unknownKeyRow,
        .setting(
            "insecure", in: [.authProvider], .flag, \.provider.keyFetching.isInsecure,
            "Whether keys may come over plain http from other than a literal loopback address, and from names that "
                + "lead to this machine or its link"),
    ]

    private static let unknownKeyRow: Directive<ProviderDraft> = .sourceSetting(
        Directive(
            row: DirectiveRow(
                name: "unknown_kid", blocks: [.authProvider], form: "refetch [wait=TIME] [cooldown=TIME] | reject",
                arity: 1...3,
                summary:
                    "What happens to a token whose key is not here: its request waits so long for one fetch that all "
                    + "share, and none is made for it again within the cooldown; or it is refused at once"),
            read: { statement, draft, _ throws(Diagnostic) in
                draft.provider.unknownKeys = try UnknownKeyPolicy(statement)
            },
            write: { draft in
                guard case .refetch(let wait, let cooldown) = draft.provider.unknownKeys else {
                    return [WrittenLine(["reject"])]
                }
                return [
                    WrittenLine([
                        "refetch", "wait=\(Units.text(time: wait))", "cooldown=\(Units.text(time: cooldown))",
                    ])
                ]
            }))

    private static let tokenRows: [Directive<ProviderDraft>] = [
        algorithmsRow,
        Directive(
            row: DirectiveRow(
                name: "token_types", blocks: [.authProvider], form: "TYPE… (- stands for none)", arity: 1 ... .max,
                summary: "Accepted \"typ\" of a token, without case and without \"application/\""),
            read: { statement, draft, _ throws(Diagnostic) in
                draft.provider.tokenTypes = try statement.arguments.distinct { word throws(Diagnostic) in
                    if word.text == "-" { return nil }
                    let type = word.text.lowercased()
                    return type.hasPrefix("application/") ? String(type.dropFirst(12)) : type
                }
            },
            write: { [WrittenLine($0.provider.tokenTypes.map { $0.map(Syntax.quoted) ?? "-" })] }),
        // A token must fit into one header line; the largest accepted line is 1m.
        .setting(
            "token_max_size", in: [.authProvider], .size(256...1 << 20), \.provider.tokenSize, "Bytes of a token"),
        Directive(
            row: DirectiveRow(
                name: "required_claims", blocks: [.authProvider], form: "NAME… | none", arity: 1 ... .max,
                summary: "Claims that a token must have"),
            read: { statement, draft, _ throws(Diagnostic) in
                draft.provider.requiredClaims = try words(statement, none: "none")
            },
            write: {
                [
                    WrittenLine(
                        $0.provider.requiredClaims.isEmpty ? ["none"] : $0.provider.requiredClaims.map(Syntax.quoted))
                ]
            }),
        // Clocks that differ by more than this need mending, not patience.
        .setting(
            "leeway", in: [.authProvider], .time(.zero ... .seconds(600)), \.provider.leeway,
            "How far clocks may differ when times in a token are judged"),
        .setting(
            "max_lifetime", in: [.authProvider], Codec.time(.seconds(1) ... .seconds(3650 * 86_400)).or("off"),
            \.provider.maxLifetime, "How far \"exp\" may lie behind \"iat\" (or now); off: any"),
        cacheRow, ClaimNames.row,
    ]

    private static let cacheRow = Directive<ProviderDraft>(
        row: DirectiveRow(
            name: "cache", blocks: [.authProvider],
            form: "ENTRIES [max_size=SIZE] [ttl=TIME] [negative=TIME|off] | off", arity: 1...5,
            summary: "Verified tokens that are remembered, in the whole process: how many, how many bytes, how long; "
                + "and how long refused ones are"
        ),
        read: { statement, draft, _ throws(Diagnostic) in try draft.provider.readCache(statement) },
        write: { draft in
            let provider = draft.provider
            if provider.cacheEntries == 0 { return [WrittenLine(["off"])] }
            return [
                WrittenLine([
                    String(provider.cacheEntries), "max_size=\(Units.text(size: provider.cacheSize))",
                    "ttl=\(Units.text(time: provider.cacheTTL))",
                    "negative=\(provider.negativeTTL == .zero ? "off" : Units.text(time: provider.negativeTTL))",
                ])
            ]
        })

    static func words(_ statement: Statement, none: String) throws(Diagnostic) -> [String] {
        if statement.arguments.count == 1, statement.arguments[0].text == none, !statement.arguments[0].isQuoted {
            return []
        }
        return try statement.arguments.distinct { word throws(Diagnostic) in
            guard !word.text.isEmpty else {
                throw word.error("an empty text cannot be one of \"\(statement.name.text)\"")
            }
            if word.text == none { throw word.error("\"\(none)\" stands alone") }
            return word.text
        }
    }
}

extension Directive where Block == ProviderDraft {
    /// A setting of the key sources, which `jwks` and `discovery` name.
    fileprivate static func sourceSetting<Value>(
        _ name: String, _ codec: Codec<Value>, _ field: any WritableKeyPath<ProviderDraft, Value> & Sendable,
        _ summary: String
    ) -> Directive {
        sourceSetting(.setting(name, in: [.authProvider], codec, field, summary))
    }
    static func sourceSetting(_ setting: Directive) -> Directive {
        var directive = setting
        let (read, write) = (directive.read, directive.write)
        directive.read = { statement, draft, reader throws(Diagnostic) in
            draft.sourceSetting = draft.sourceSetting ?? statement.name
            try read(statement, &draft, &reader)
        }
        // Defaults are shown in the reference, where there is no provider yet.
        directive.write = { $0.provider.keySources.isEmpty && !$0.provider.name.isEmpty ? [] : write($0) }
        return directive
    }
}

extension UnknownKeyPolicy {
    fileprivate init(_ statement: Statement) throws(Diagnostic) {
        let word = statement.arguments[0]
        switch word.text {
        case "reject":
            if statement.arguments.count > 1 { throw statement.arguments[1].error("nothing can follow \"reject\"") }
            self = .reject
        case "refetch":
            var (wait, cooldown) = (Duration.milliseconds(500), Duration.seconds(30))
            for parameter in statement.arguments.dropFirst() {
                if let time = parameter.value(of: "wait") {
                    wait = try Units.time(time, .milliseconds(1) ... .seconds(10))
                } else if let time = parameter.value(of: "cooldown") {
                    // Without one every token with an invented key would be a fetch.
                    cooldown = try Units.time(time, .seconds(1) ... .seconds(3600))
                } else {
                    throw parameter.error(
                        "unknown parameter \"\(parameter.shown)\" of \"unknown_kid\"",
                        suggestion: "there are wait=TIME and cooldown=TIME")
                }
            }
            self = .refetch(wait: wait, cooldown: cooldown)
        default: throw word.error("\"\(word.shown)\" is neither \"refetch\" nor \"reject\"")
        }
    }
}

extension [Argument] {
    /// The values of all words; the same one twice is an error.
    func distinct<Value: Equatable>(
        _ transform: (Argument) throws(Diagnostic) -> Value
    ) throws(Diagnostic) -> [Value] {
        var values: [Value] = []
        for word in self {
            let value = try transform(word)
            if values.contains(value) { throw word.error("\"\(word.shown)\" is said twice") }
            values.append(value)
        }
        return values
    }
}

extension AuthProvider {
    fileprivate mutating func readCache(_ statement: Statement) throws(Diagnostic) {
        let word = statement.arguments[0]
        if word.text == "off" {
            if statement.arguments.count > 1 { throw statement.arguments[1].error("nothing can follow \"off\"") }
            cacheEntries = 0
            return
        }
        cacheEntries = try Units.count(word, 1...100_000_000)
        for parameter in statement.arguments.dropFirst() {
            if let size = parameter.value(of: "max_size") {
                cacheSize = try Units.size(size, 64 << 10...64 << 30)
            } else if let ttl = parameter.value(of: "ttl") {
                cacheTTL = try Units.time(ttl, .seconds(1) ... .seconds(7 * 86_400))
            } else if let negative = parameter.value(of: "negative") {
                // Longer ones would keep who mended a mistake waiting.
                negativeTTL =
                    negative.text == "off" || negative.text == "0"
                    ? .zero : try Units.time(negative, .seconds(1) ... .seconds(60))
            } else {
                throw parameter.error(
                    "unknown parameter \"\(parameter.shown)\" of \"cache\"",
                    suggestion: "there are max_size=SIZE, ttl=TIME and negative=TIME")
            }
        }
    }
}
