// The rows of `auth_provider NAME jwt { … }`, and what a provider must have said to be safe.
internal import Bytes
internal import JOSE

/// A provider while it is read.
struct ProviderDraft {
    var provider: AuthProvider
    var issuerIsSaid = false
    var audienceIsSaid = false
    var jwks: Argument?
    /// The words of `algorithms`; nil: it was not said.
    var algorithmWords: [Argument]?
    var secretWord: Argument?
    var refresh: Duration = .seconds(600)
    var staleIfError: Duration = .seconds(24 * 3600)
    /// `jwks_refresh` or `stale_if_error`, which need `jwks`.
    var sourceSetting: Argument?
    var allowsClearText = false

    init(_ provider: AuthProvider) {
        self.provider = provider
        guard let source = provider.keySource else { return }
        refresh = source.refresh
        staleIfError = source.staleIfError
        allowsClearText = !source.isTLS && !source.isLiteralLoopback
    }

    static let rows: [Directive<ProviderDraft>] = identityRows + keyRows + tokenRows

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
                summary: "What \"aud\" must contain: any of these, letter by letter; required"),
            read: { statement, draft, _ throws(Diagnostic) in
                draft.audienceIsSaid = true
                draft.provider.audience = try words(statement, none: "off")
            },
            write: { [WrittenLine($0.provider.audience.isEmpty ? ["off"] : $0.provider.audience.map(Syntax.quoted))] }),
    ]

    private static let keyRows: [Directive<ProviderDraft>] = [
        Directive(
            row: DirectiveRow(
                name: "jwks", blocks: [.authProvider], form: "URL", arity: 1...1,
                summary: "Where keys are fetched in the background, as a JWK Set"),
            read: { statement, draft, _ throws(Diagnostic) in
                draft.provider.keySource = try KeySource(statement.arguments[0])
                draft.jwks = statement.arguments[0]
            },
            write: { $0.provider.keySource.map { [WrittenLine([Syntax.quoted($0.url)])] } ?? [] }),
        Directive(
            row: DirectiveRow(
                name: "key_file", blocks: [.authProvider], form: "PATH…", arity: 1 ... .max,
                summary: "Public keys of files: PEM or JWK Set; patterns are allowed"),
            read: { statement, draft, reader throws(Diagnostic) in
                for pattern in statement.arguments { try reader.readKeys(pattern, into: &draft.provider) }
            },
            write: { $0.provider.keyFiles.isEmpty ? [] : [WrittenLine($0.provider.keyFiles.map(Syntax.quoted))] }),
        secretRow,
        .sourceSetting(
            "jwks_refresh", .time(.seconds(10) ... .seconds(7 * 86_400)), \.refresh,
            "How long fetched keys are fresh; they are fetched again a little earlier"),
        .sourceSetting(
            "stale_if_error", .time(.zero ... .seconds(365 * 86_400)), \.staleIfError,
            "How long the last good keys serve while their source is down; 0: not at all"),
        .setting(
            "insecure", in: [.authProvider], .flag, \.allowsClearText,
            "Whether keys may come over plain http from other than a literal loopback address"),
    ]

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

    private static func words(_ statement: Statement, none: String) throws(Diagnostic) -> [String] {
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
    /// A setting of the key source, which `jwks` names.
    fileprivate static func sourceSetting<Value>(
        _ name: String, _ codec: Codec<Value>, _ field: any WritableKeyPath<ProviderDraft, Value> & Sendable,
        _ summary: String
    ) -> Directive {
        var directive = Directive.setting(name, in: [.authProvider], codec, field, summary)
        let (read, write) = (directive.read, directive.write)
        directive.read = { statement, draft, reader throws(Diagnostic) in
            draft.sourceSetting = draft.sourceSetting ?? statement.name
            try read(statement, &draft, &reader)
        }
        // Defaults are shown in the reference, where there is no provider yet.
        directive.write = { $0.provider.keySource == nil && !$0.provider.name.isEmpty ? [] : write($0) }
        return directive
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
