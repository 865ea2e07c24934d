// Where in the claims of a token something stands: `sub`, `realm_access.roles`, `"https://example.com/roles"`.

/// Names from the outermost object inwards.
package struct ClaimPath: Sendable, Equatable, Hashable {
    package var names: [String]

    package init(_ names: [String]) { self.names = names }
    package init(_ names: String...) { self.names = names }

    /// Deeper than any issuer nests, and within the depth that a token's JSON may have.
    private static let maximumDepth = 8
    private static let maximumNameBytes = 256

    /// Dots separate names. A quoted word is one name, whatever it contains; quotes inside of it quote one of several names.
    init(_ word: Argument) throws(Diagnostic) {
        let text = word.text
        names = []
        if word.isQuoted, !text.contains("\"") {
            names = [text]
        } else {
            var isInside = false
            var name = ""
            for character in text {
                if character == "\"" {
                    isInside.toggle()
                } else if character == ".", !isInside {
                    names.append(name)
                    name = ""
                } else {
                    name.append(character)
                }
            }
            names.append(name)
            guard !isInside else { throw word.error("a quote in \"\(word.shown)\" is not closed") }
        }
        guard names.allSatisfy({ (1...Self.maximumNameBytes).contains($0.utf8.count) }) else {
            throw word.error(
                "\"\(word.shown)\" is not the name of a claim: names are 1 to \(Self.maximumNameBytes) bytes, with "
                    + "dots between them",
                suggestion: "quote a name that has dots in it")
        }
        guard names.count <= Self.maximumDepth else {
            throw word.error("claims are looked for at most \(Self.maximumDepth) objects deep")
        }
    }

    /// As an argument.
    var written: String {
        func isPlain(_ name: String) -> Bool { Syntax.quoted(name) == name && !name.contains(".") && name != "off" }
        if names.allSatisfy(isPlain) { return names.joined(separator: ".") }
        let text = Syntax.quoted(names.count == 1 ? names[0] : names.map { "\"\($0)\"" }.joined(separator: "."))
        return text.hasPrefix("\"") ? text : "\"\(text)\""
    }
}

/// `claims { … }`: which claims tell what of an identity. Of several, a list is all of them together, and a single value is the
/// first that is there.
package struct ClaimNames: Sendable, Equatable, Hashable {
    package var subject = [ClaimPath("sub")]
    package var session = [ClaimPath("sid")]
    package var tokenID = [ClaimPath("jti")]
    package var permissions = [ClaimPath("permissions")]
    package var scopes = [ClaimPath("scope"), ClaimPath("scp")]
    package var roles = [ClaimPath("roles"), ClaimPath("role"), ClaimPath("realm_access", "roles")]
    package var client = [ClaimPath("client_id"), ClaimPath("azp")]

    package init() {}
}

extension ClaimNames {
    private static let lines: [(name: String, field: any WritableKeyPath<ClaimNames, [ClaimPath]> & Sendable)] = [
        ("subject", \.subject), ("session", \.session), ("token_id", \.tokenID), ("permissions", \.permissions),
        ("scopes", \.scopes), ("roles", \.roles), ("client", \.client),
    ]
    /// Each is looked for in every new token.
    private static let maximumPaths = 8

    static let row = row(in: .authProvider)
    static func row(in block: BlockKind) -> Directive<ProviderDraft> {
        Directive(
            row: DirectiveRow(
                name: "claims", blocks: [block], form: "{ WHAT CLAIM… | off; … }", arity: 0...0, opensBlock: true,
                summary:
                    "Which claims tell subject, session, token id, permissions, scopes, roles and client: lists are "
                    + "all of them together, of the others the first that is there counts; a claim of an inner object is "
                    + "`outer.inner`, a name with dots is quoted"),
            read: { statement, draft, _ throws(Diagnostic) in
                try draft.provider.claims.read(statement.block ?? [])
            },
            write: { draft in
                let names = draft.provider.claims
                let block = lines.map { line in
                    let paths = names[keyPath: line.field]
                    return [line.name] + (paths.isEmpty ? ["off"] : paths.map(\.written))
                }
                return [WrittenLine([], block: block)]
            })
    }

    private mutating func read(_ statements: [Statement]) throws(Diagnostic) {
        var said: Set<String> = []
        for statement in statements {
            let name = statement.name
            guard let line = Self.lines.first(where: { $0.name == name.text }) else {
                let known = Self.lines.map(\.name)
                throw name.error(
                    "\"\(name.shown)\" is nothing that claims tell: there are \(known.joined(separator: ", "))",
                    suggestion: Spelling.suggestion(for: name.text, among: known))
            }
            guard said.insert(name.text).inserted else { throw name.error("duplicate line \"\(name.shown)\"") }
            guard !statement.arguments.isEmpty, statement.block == nil else {
                throw name.error("a line of \"claims\" names one claim or several: \"subject sub;\"")
            }
            guard statement.arguments.count <= Self.maximumPaths else {
                throw statement.arguments[Self.maximumPaths].error("at most \(Self.maximumPaths) claims can be named")
            }
            self[keyPath: line.field] = try Self.paths(statement.arguments)
        }
    }

    private static func paths(_ words: [Argument]) throws(Diagnostic) -> [ClaimPath] {
        if words.count == 1, words[0].text == "off", !words[0].isQuoted { return [] }
        return try words.distinct { word throws(Diagnostic) in try ClaimPath(word) }
    }
}
