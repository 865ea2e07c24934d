// `algorithms` and `secret` of a provider: what may sign its tokens, and whether there is a key for it.
package import JOSE

extension ProviderDraft {
    static let algorithmsRow = Directive<ProviderDraft>(
        row: DirectiveRow(
            name: "algorithms", blocks: [.authProvider],
            form: SignatureAlgorithm.allCases.map(\.name).joined(separator: " ") + " (any of them)",
            arity: 1 ... .max,
            summary:
                "Signature algorithms that are accepted. HS256, HS384 and HS512 need \"secret\" or an \"oct\" key in "
                + "\"key_file\"; they are the default, as far as it is long enough, where there is no other key"),
        read: { statement, draft, _ throws(Diagnostic) in
            draft.algorithmWords = statement.arguments
            draft.provider.algorithms = try statement.arguments.distinct(algorithm)
        },
        write: { [WrittenLine($0.provider.algorithms.map(\.name))] })

    static let secretRow = Directive<ProviderDraft>(
        row: DirectiveRow(
            name: "secret", blocks: [.authProvider], form: "${file:PATH} | ${env:NAME} [kid=NAME]", arity: 1...2,
            summary:
                "What the issuer shares with us for HS256, HS384 and HS512, at least 32, 48 or 64 bytes long; tokens name "
                + "it by \"kid\", or not at all; a file is read again when it changes"),
        read: { statement, draft, _ throws(Diagnostic) in
            let word = statement.arguments[0]
            guard word.isSecret else {
                throw word.error(
                    "a secret does not stand in the file, where it is printed and copied",
                    suggestion: "say ${file:PATH} or ${env:NAME}")
            }
            draft.secretWord = word
            var key = JSONWebKey(.secret(Array(word.text.utf8)))
            if statement.arguments.count == 2 {
                let parameter = statement.arguments[1]
                guard let id = parameter.value(of: "kid"), (1...256).contains(id.text.utf8.count) else {
                    throw parameter.error(
                        "unknown parameter \"\(parameter.shown)\" of \"secret\"",
                        suggestion: "there is kid=NAME, of up to 256 bytes")
                }
                key.id = id.text
            }
            draft.provider.secret = key
            draft.provider.secretFile = word.file
        },
        write: { draft in
            guard let secret = draft.provider.secret else { return [] }
            return [WrittenLine(["\"***\""] + (secret.id.map { [Syntax.quoted("kid=" + $0)] } ?? []))]
        })

    private static func algorithm(_ word: Argument) throws(Diagnostic) -> SignatureAlgorithm {
        if let algorithm = SignatureAlgorithm(name: word.text) { return algorithm }
        if word.text.lowercased() == "none" { throw word.error("the algorithm \"none\" does not exist here") }
        if word.text == "Ed25519" || word.text == "Ed448" {
            throw word.error("\"\(word.text)\" goes by the name \"EdDSA\" here: the key says which curve it is")
        }
        throw word.error(
            "unknown algorithm \"\(word.shown)\"",
            suggestion: Spelling.suggestion(for: word.text, among: SignatureAlgorithm.allCases.map(\.name)))
    }

    /// Where a secret is the only key, its algorithms need not be named. Nothing else ever lets an HMAC in.
    mutating func chooseAlgorithms() {
        guard algorithmWords == nil, provider.keySources.isEmpty else { return }
        let keys = provider.ownKeys.keys
        guard !keys.isEmpty, keys.allSatisfy(\.isSecret) else { return }
        let fitting = SignatureAlgorithm.allCases.filter { algorithm in keys.contains { $0.serves(algorithm) } }
        // With none the secret is too short, which is said when everything is known.
        provider.algorithms = fitting.isEmpty ? [.hs256] : fitting
    }

    /// Whether something can be signed with what is accepted: a provider that refuses every token is a mistake.
    func checkAlgorithms(_ statement: Statement) throws(Diagnostic) {
        for (index, algorithm) in provider.algorithms.enumerated() where algorithm.isSymmetric {
            try check(algorithm, algorithmWords?[index] ?? secretWord ?? statement.name)
        }
        if let secretWord, !provider.algorithms.contains(where: \.isSymmetric) {
            throw secretWord.error(
                "\"secret\" means nothing beside other keys, unless \"algorithms\" names HS256, HS384 or HS512")
        }
        let own = provider.ownKeys.keys
        guard provider.keySources.isEmpty, !own.isEmpty else { return }
        if provider.algorithms.contains(where: { algorithm in own.contains { $0.serves(algorithm) } }) { return }
        let fitting = SignatureAlgorithm.asymmetric.filter { algorithm in own.contains { $0.serves(algorithm) } }
        throw (algorithmWords?.first ?? statement.name).error(
            "no key of provider \"\(provider.name)\" is for any of "
                + provider.algorithms.map(\.name).joined(separator: ", "),
            suggestion: fitting.isEmpty ? nil : "its keys are for " + fitting.map(\.name).joined(separator: ", "))
    }

    private func check(_ algorithm: SignatureAlgorithm, _ place: Argument) throws(Diagnostic) {
        if provider.hasSecret(for: algorithm) { return }
        guard let longest = provider.longestSecret, longest < algorithm.digestBytes else {
            throw place.error(
                "\(algorithm.name) needs a secret that only the issuer and this gateway know",
                suggestion: "say \"secret ${file:PATH}\", or give an \"oct\" key for it in \"key_file\"")
        }
        throw place.error(
            "\(algorithm.name) needs a secret of at least \(algorithm.digestBytes) bytes; the longest one has \(longest)"
        )
    }
}

extension AuthProvider {
    fileprivate func hasSecret(for algorithm: SignatureAlgorithm) -> Bool {
        ownKeys.keys.contains { $0.isSecret && $0.serves(algorithm) }
    }
    /// Bytes of the longest one.
    fileprivate var longestSecret: Int? { ownKeys.keys.compactMap(\.secretBytes).max() }

    /// The same secret, as its file has it now; or the sentence that says why that is no use.
    package func secretAgain() -> Result<JSONWebKey?, KeyFiles.Refusal> {
        guard let secretFile else { return .success(secret) }
        var changed = self
        do throws(ReferenceError) {
            var key = JSONWebKey(.secret(Array(try References.text(of: secretFile, shown: secretFile).utf8)))
            key.id = secret?.id
            changed.secret = key
        } catch {
            return .failure(KeyFiles.Refusal(text: error.message))
        }
        let unserved = algorithms.first { $0.isSymmetric && !changed.hasSecret(for: $0) }
        guard let unserved else { return .success(changed.secret) }
        return .failure(
            KeyFiles.Refusal(
                text: "\(unserved.name) needs a secret of at least \(unserved.digestBytes) bytes, which "
                    + "\"\(secretFile)\" does not hold"))
    }
}

extension JSONWebKey {
    fileprivate var secretBytes: Int? {
        guard case .secret(let bytes) = material else { return nil }
        return bytes.count
    }
    fileprivate var isSecret: Bool { secretBytes != nil }

    /// Whether tokens of that algorithm can be checked with this key.
    fileprivate func serves(_ wanted: SignatureAlgorithm) -> Bool {
        if let algorithm, algorithm != wanted { return false }
        return wanted.fits(material)
    }
}
