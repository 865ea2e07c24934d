// Reading a provider: its block, its key files, and the checks that need all of it.
internal import Bytes
internal import JOSE

extension AuthProvider {
    /// Each worker keeps the rules, keys and verdicts of each, those that a reload replaced as long as requests hold them.
    package static let maximumCount = 256

    static let row = Directive<MainSettings>(
        row: DirectiveRow(
            name: "auth_provider", blocks: [.main], form: "NAME jwt { … }", arity: 1...2, repeats: true,
            opensBlock: true,
            summary: "An issuer of tokens, and how its tokens are checked"),
        read: { statement, _, reader throws(Diagnostic) in try reader.readProvider(statement) },
        write: { _ in [] })
}

extension KeySource {
    /// A literal address of this machine: what goes there in clear text nobody else reads or changes.
    var isLiteralLoopback: Bool { IPAddress(host)?.isLoopback ?? false }

    init(_ word: Argument) throws(Diagnostic) {
        let url = word.text
        guard let scheme = ["https", "http"].first(where: { url.hasPrefix($0 + "://") }) else {
            throw word.error("\"\(word.shown)\" is not an address of keys: https://… or http://… is expected")
        }
        let rest = url.dropFirst(scheme.utf8.count + 3)
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        let target = rest.dropFirst(authority.count)
        guard target.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "#") }) else {
            throw word.error("\"\(word.shown)\" holds characters that an address cannot have")
        }
        guard let place = HostAndPort(String(authority), defaultPort: scheme == "https" ? 443 : 80) else {
            throw word.error("\"\(word.shown)\" has no valid host and port")
        }
        self.init(
            url: url, isTLS: scheme == "https", host: place.host, port: place.port,
            target: target.hasPrefix("/") ? String(target) : "/" + target)
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
        let kind = statement.arguments[1]
        guard kind.text == "jwt" else {
            let later = ["api_key", "introspection", "client_certificate", "request"].contains(kind.text)
            throw kind.error(
                later
                    ? "the provider kind \"\(kind.text)\" is not supported yet"
                    : "unknown provider kind \"\(kind.shown)\": there is \"jwt\"")
        }
        var draft = ProviderDraft(AuthProvider(name: name.text, position: statement.position))
        let before = errorCount
        read(statement.block ?? [], in: .authProvider, at: statement.position, rows: ProviderDraft.rows, into: &draft)
        let isWhole = errorCount == before
        draft.chooseAlgorithms()
        draft.provider.keySource?.refresh = draft.refresh
        draft.provider.keySource?.staleIfError = draft.staleIfError
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
        guard let source = draft.provider.keySource, let jwks = draft.jwks else {
            if draft.provider.ownKeys.keys.isEmpty {
                throw statement.error(
                    "provider \"\(name)\" has no keys", suggestion: "say \"jwks URL\" or \"key_file PATH\"")
            }
            try draft.checkAlgorithms(statement)
            if let setting = draft.sourceSetting {
                throw setting.error("\"\(setting.text)\" means nothing without \"jwks\"")
            }
            return
        }
        if !source.isTLS, !source.isLiteralLoopback, !draft.allowsClearText {
            throw jwks.error(
                "keys over plain http can be exchanged by anybody on the way",
                suggestion: "use https, a literal loopback address such as 127.0.0.1, or say \"insecure on\"")
        }
        try draft.checkAlgorithms(statement)
    }

    mutating func readKeys(_ pattern: Argument, into provider: inout AuthProvider) throws(Diagnostic) {
        let paths = SourceFile.matches(try path(pattern))
        if paths.isEmpty { throw pattern.error("no file matches \"\(pattern.shown)\"") }
        for path in paths {
            let shown = pattern.isSecret ? "***" : path
            let set: JSONWebKeySet
            do {
                set = try JSONWebKeySet.parse(file: SourceFile.read(path, maximumBytes: JSONWebKeySet.maximumBytes))
            } catch let error as FileError {
                throw pattern.error("key file \"\(shown)\" cannot be read: \(error.reason)")
            } catch let error as JOSEError {
                throw pattern.error("key file \"\(shown)\" cannot be used: \(error.description)")
            } catch {
                throw pattern.error("key file \"\(shown)\" cannot be used")
            }
            guard !set.keys.isEmpty else {
                let reason = set.skipped.first.map { ": \($0)" } ?? ""
                throw pattern.error("key file \"\(shown)\" has no usable key\(reason)")
            }
            for reason in set.skipped {
                report(
                    Diagnostic(
                        .note, at: pattern.position, "a key of \"\(shown)\" is left out: \(reason)",
                        length: max(1, pattern.length)))
            }
            provider.localKeys.append(set)
            provider.keyFiles.append(path)
        }
        guard provider.localKeys.keys.count <= JSONWebKeySet.maximumKeys else {
            throw pattern.error("a provider may have at most \(JSONWebKeySet.maximumKeys) keys of files")
        }
    }
}
