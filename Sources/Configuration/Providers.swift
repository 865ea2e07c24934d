// Reading a provider: its block, its key files, and the checks that need all of it.
internal import Bytes
internal import JOSE

extension AuthProvider {
    /// Each worker keeps the rules, keys and verdicts of each, those that a reload replaced as long as requests hold them.
    package static let maximumCount = 256

    static let row = Directive<MainSettings>(
        row: DirectiveRow(
            name: "auth_provider", blocks: [.main],
            form: "NAME jwt | api_key | introspection | request | client_certificate { … }",
            arity: 1...2, repeats: true,
            opensBlock: true,
            summary:
                "Who may say who is asking: an issuer of tokens or keys, a service, or an authority of certificates"),
        read: { statement, _, reader throws(Diagnostic) in try reader.readProvider(statement) },
        write: { _ in [] })
}

extension KeySource {
    init(_ kind: Kind, _ word: Argument) throws(Diagnostic) {
        do throws(WebAddress.Fault) {
            let address = try WebAddress(word.text)
            self.init(kind, kind == .keys ? address : address.wellKnown, shown: word.shown)
        } catch {
            switch error {
            case .scheme:
                throw word.error("\"\(word.shown)\" is not an address of keys: https://… or http://… is expected")
            case .characters: throw word.error("\"\(word.shown)\" holds characters that an address cannot have")
            case .host: throw word.error("\"\(word.shown)\" has no valid host and port")
            }
        }
    }
}

extension WebAddress {
    /// The document that an issuer's address stands for (OpenID Connect Discovery 1.0 section 4.1); a document's own address
    /// stays.
    fileprivate var wellKnown: WebAddress {
        if target.contains("/.well-known/") { return self }
        return asking(
            (target.hasSuffix("/") ? String(target.dropLast()) : target) + "/.well-known/openid-configuration")
    }
}

extension ConfigurationReader {
    fileprivate mutating func readProvider(_ statement: Statement) throws(Diagnostic) {
        let name = statement.arguments[0]
        try checkProviderName(name)
        guard configuration.providers.count < AuthProvider.maximumCount else {
            throw statement.error("at most \(AuthProvider.maximumCount) providers can be configured")
        }
        guard statement.arguments.count == 2 else {
            throw statement.error(
                "\"auth_provider\" needs a name and a kind", suggestion: "auth_provider \(name.shown) jwt { … }")
        }
        let word = statement.arguments[1]
        guard let kind = ProviderKind.allCases.first(where: { $0.word == word.text }) else {
            let words = ProviderKind.allCases.map(\.word)
            throw word.error(
                "unknown provider kind \"\(word.shown)\": there are \(words.joined(separator: ", "))",
                suggestion: Spelling.suggestion(for: word.text, among: words))
        }
        var draft = ProviderDraft(AuthProvider(name: name.text, kind: kind, position: statement.position))
        let before = errorCount
        read(
            statement.block ?? [], in: kind.block, at: statement.position, rows: ProviderDraft.rows(of: kind),
            into: &draft)
        let isWhole = errorCount == before
        guard kind == .jwt else {
            draft.finishLookup()
            configuration.providers.append(draft.provider)
            if isWhole { try checkLookup(draft, statement) }
            return
        }
        draft.chooseAlgorithms()
        configuration.providers.append(draft.provider)
        // A line that could not be read would be called missing.
        if isWhole { try check(draft, statement) }
    }

    private func checkProviderName(_ name: Argument) throws(Diagnostic) {
        // The name goes into header fields and metrics.
        let isPlain = name.text.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
            default: "._-".utf8.contains(byte)
            }
        }
        guard isPlain, (1...64).contains(name.text.utf8.count) else {
            throw name.error(
                "\"\(name.shown)\" is no name for a provider: up to 64 letters, digits, \"-\", \"_\" and \".\" "
                    + "are allowed"
            )
        }
        if ["off", "any", "all"].contains(name.text) {
            throw name.error("a provider cannot be called \"\(name.text)\": \"auth \(name.text)\" means something else")
        }
        if let earlier = configuration.providers.first(where: { $0.name == name.text }) {
            throw name.error("duplicate auth_provider \"\(name.shown)\": the first one is at \(earlier.position.text)")
        }
    }

    private mutating func check(_ draft: ProviderDraft, _ statement: Statement) throws(Diagnostic) {
        let name = statement.arguments[0].shown
        if !draft.issuerIsSaid {
            report(
                statement.error(
                    "provider \"\(name)\" needs \"issuer\": without it tokens of anybody with a known key pass",
                    suggestion: "write \"issuer off\" if that is meant"))
        }
        if !draft.audienceIsSaid {
            report(
                statement.error(
                    "provider \"\(name)\" needs \"audience\": without it tokens for other services pass",
                    suggestion: "write \"audience off\" if that is meant"))
        }
        if draft.provider.keySources.isEmpty {
            if draft.provider.ownKeys.keys.isEmpty {
                throw statement.error(
                    "provider \"\(name)\" has no keys",
                    suggestion: "say \"jwks URL\", \"discovery URL\" or \"key_file PATH\"")
            }
            if let setting = draft.sourceSetting {
                throw setting.error("\"\(setting.text)\" means nothing without \"jwks\" or \"discovery\"")
            }
        }
        checkSources(draft)
        try draft.checkAudienceMatch()
        try draft.checkAlgorithms(statement)
    }

    private mutating func checkSources(_ draft: ProviderDraft) {
        if draft.provider.issuer == nil, draft.issuerIsSaid, let word = draft.discovery {
            report(word.error("\"discovery\" needs an issuer, which its document must name"))
        }
        guard !draft.provider.keyFetching.isInsecure else { return }
        for (source, word) in zip(draft.provider.keySources, draft.sourceWords)
        where !source.address.isTLS && !source.address.isLiteralLoopback {
            report(
                word.error(
                    "keys over plain http can be exchanged by anybody on the way",
                    suggestion: "use https, a literal loopback address such as 127.0.0.1, or say \"insecure on\""))
        }
    }

    mutating func readKeys(_ pattern: Argument, into provider: inout AuthProvider) throws(Diagnostic) {
        let path = try path(pattern)
        do throws(KeyFileError) {
            for (file, set) in try KeyFiles.read(path) {
                for reason in set.skipped {
                    report(
                        Diagnostic(
                            .note, at: pattern.position,
                            "a key of \"\(pattern.isSecret ? "***" : file)\" is left out: \(reason)",
                            length: max(1, pattern.length)))
                }
                provider.localKeys.append(set)
            }
        } catch {
            throw pattern.error(error.message(pattern.isSecret ? "***" : error.path ?? pattern.text))
        }
        provider.keyFiles.append(path)
        guard provider.localKeys.keys.count <= JSONWebKeySet.maximumKeys else {
            throw pattern.error("a provider may have at most \(JSONWebKeySet.maximumKeys) keys of files")
        }
    }
}
