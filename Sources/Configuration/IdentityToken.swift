// A short token of the gateway's own that tells an upstream who is asking, signed, so that it need not trust header fields.
package import JOSE

/// `identity_token { … }`
package struct IdentityTokenRules: Sendable, Equatable {
    package static let defaultHeader = "X-Gateway-Identity"
    /// Tokens of this type are taken for nothing else (RFC 8725 section 3.11).
    package static let type = "gateway-identity+jwt"

    /// The files of `key`: the first one signs, of all of them the public half is published.
    package var keyFiles: [String]
    /// The private key that signs, in PEM.
    package var key: [UInt8]
    package var publicKeys: [JSONWebKey]
    package var ttl: Duration
    package var audience: String
    package var issuer: String
    package var header: String

    /// `key` is what the first of the files holds.
    package init(
        keyFiles: [String], key: [UInt8], publicKeys: [JSONWebKey], ttl: Duration, audience: String, issuer: String,
        header: String
    ) {
        self.keyFiles = keyFiles
        self.key = key
        self.publicKeys = publicKeys
        self.ttl = ttl
        self.audience = audience
        self.issuer = issuer
        self.header = header
    }
}

extension GatewayConfiguration {
    /// The public half of every key that signs, or may soon sign, a token of ours.
    package var identityKeys: JSONWebKeySet {
        var set = JSONWebKeySet()
        for key in locations.flatMap({ $0.identityToken?.publicKeys ?? [] }) where !set.keys.contains(key) {
            set.keys.append(key)
        }
        return set
    }
}

/// The block while it is read.
struct IdentityTokenDraft: Sendable {
    var keyFiles: [String] = []
    var key: [UInt8] = []
    var publicKeys: [JSONWebKey] = []
    var ttl: Duration = .seconds(60)
    var audience = ""
    var issuer = "gateway"
    var header = IdentityTokenRules.defaultHeader

    init() {}
    init(_ rules: IdentityTokenRules) {
        keyFiles = rules.keyFiles
        key = rules.key
        publicKeys = rules.publicKeys
        ttl = rules.ttl
        audience = rules.audience
        issuer = rules.issuer
        header = rules.header
    }

    var rules: IdentityTokenRules {
        IdentityTokenRules(
            keyFiles: keyFiles, key: key, publicKeys: publicKeys, ttl: ttl, audience: audience, issuer: issuer,
            header: header)
    }

    static let rows: [Directive<IdentityTokenDraft>] = [
        Directive(
            row: DirectiveRow(
                name: "key", blocks: [.identityToken], form: "PATH…", arity: 1...8,
                summary:
                    "Private keys in PEM without a passphrase: the first one signs, of all of them the public half is "
                    + "published; RSA signs with RS256, P-256 with ES256, Ed25519 with EdDSA; required"),
            read: { statement, draft, reader throws(Diagnostic) in
                for word in statement.arguments { try reader.readSigningKey(word, into: &draft) }
            },
            write: { $0.keyFiles.isEmpty ? [] : [WrittenLine($0.keyFiles.map { Syntax.quoted($0) })] }),
        // A token that lives longer outlives what it says; one that lives shorter is signed all the time.
        .setting(
            "ttl", in: [.identityToken], .time(.seconds(2) ... .seconds(3600)), \.ttl,
            "How long a token is good, if the credential behind it is; it is sent until half of that is over"),
        text("audience", \.audience, "What \"aud\" says: the upstream that must check it; required"),
        text("issuer", \.issuer, "What \"iss\" says"),
        Directive(
            row: DirectiveRow(
                name: "header", blocks: [.identityToken], form: "NAME", arity: 1...1,
                summary: "The field that carries the token; the client's own copies are removed on every route"),
            read: { statement, draft, _ throws(Diagnostic) in
                let name = statement.arguments[0]
                let field = try FieldTemplate(
                    name, Argument("x", position: name.position), at: .request, writtenBy: "identity_token")
                draft.header = field.name
            },
            write: { [WrittenLine([Syntax.quoted($0.header)])] }),
    ]

    private static func text(
        _ name: String, _ field: any WritableKeyPath<IdentityTokenDraft, String> & Sendable, _ summary: String
    ) -> Directive<IdentityTokenDraft> {
        Directive(
            row: DirectiveRow(
                name: name, blocks: [.identityToken], form: "TEXT", arity: 1...1, summary: summary),
            read: { statement, draft, _ throws(Diagnostic) in
                let word = statement.arguments[0]
                guard !word.text.isEmpty else { throw word.error("\"\(name)\" cannot be empty") }
                draft[keyPath: field] = word.text
            },
            write: { $0[keyPath: field].isEmpty ? [] : [WrittenLine([Syntax.quoted($0[keyPath: field])])] })
    }
}

extension IdentityTokenRules {
    static let row = Directive<RouteSettings>(
        row: DirectiveRow(
            name: "identity_token", blocks: [.main, .server, .location], form: "{ … }", arity: 0...0,
            opensBlock: true,
            summary:
                "A short signed token for the upstream, beside or in place of `identity_headers`; an empty block: none"),
        read: { statement, settings, reader throws(Diagnostic) in
            settings.identityToken = try reader.readIdentityToken(statement)
            settings.ownIdentityToken = settings.identityToken == nil ? nil : statement.name
        },
        write: { settings in
            guard let rules = settings.identityToken else { return [WrittenLine([], block: [])] }
            let lines = IdentityTokenDraft.rows.flatMap { directive in
                directive.write(IdentityTokenDraft(rules)).map { [directive.row.name] + $0.arguments }
            }
            return [WrittenLine([], block: lines)]
        })

    /// `identity_jwks;`
    static let publicationRow = Directive<LocationDraft>(
        row: DirectiveRow(
            name: "identity_jwks", blocks: [.location], form: "", arity: 0...0,
            summary: "Answers with the public keys of every `identity_token`, as a JWK Set"),
        read: { statement, location, _ throws(Diagnostic) in
            if let word = location.scope.answerWord {
                throw statement.error(
                    "\"identity_jwks\" is unreachable: \"\(word.text)\" in line \(word.position.line) answers every request"
                )
            }
            location.scope.answerWord = statement.name
            location.scope.answer = .identityKeys
        },
        write: { $0.scope.answer == .identityKeys ? [WrittenLine([])] : [] })
}

extension ConfigurationReader {
    fileprivate mutating func readIdentityToken(_ statement: Statement) throws(Diagnostic) -> IdentityTokenRules? {
        let block = statement.block ?? []
        if block.isEmpty { return nil }
        var draft = IdentityTokenDraft()
        let before = errorCount
        read(block, in: .identityToken, at: statement.position, rows: IdentityTokenDraft.rows, into: &draft)
        // A line that could not be read would be called missing.
        guard errorCount == before else { return nil }
        if draft.keyFiles.isEmpty {
            throw statement.error("\"identity_token\" needs \"key\"", suggestion: "key keys/private_key.pem;")
        }
        if draft.audience.isEmpty {
            throw statement.error(
                "\"identity_token\" needs \"audience\": a token for everybody is good for nobody",
                suggestion: "audience orders;")
        }
        return draft.rules
    }

    fileprivate mutating func readSigningKey(
        _ word: Argument, into draft: inout IdentityTokenDraft
    ) throws(Diagnostic) {
        let path = try path(word)
        let shown = word.isSecret ? "***" : path
        do {
            let pem = try SourceFile.read(path, maximumBytes: JSONWebKeySet.maximumBytes)
            let key = try SigningKey.read(pem: pem)
            if draft.keyFiles.isEmpty { draft.key = pem }
            draft.keyFiles.append(path)
            draft.publicKeys.append(key.described)
        } catch let error as FileError {
            throw word.error("key file \"\(shown)\" cannot be read: \(error.reason)")
        } catch let error as JOSEError {
            throw word.error("key file \"\(shown)\" cannot be used: \(error.description)")
        } catch {
            throw word.error("key file \"\(shown)\" cannot be used")
        }
    }

    /// Keys that nobody has are not to be published.
    mutating func checkIdentityKeys() {
        guard configuration.identityKeys.keys.isEmpty else { return }
        for location in configuration.locations where location.action == .identityKeys {
            report(
                Diagnostic(
                    at: location.position, "\"identity_jwks\" has nothing to publish: there is no \"identity_token\"",
                    length: 8))
        }
    }
}
