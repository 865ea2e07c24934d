// Reading a location: what it matches, what it inherits, and what it must not leave open.

extension ConfigurationReader {
    mutating func readLocation(_ statement: Statement, _ scope: inout RouteScope) throws(Diagnostic) {
        let match = try LocationMatch(statement)
        let word = statement.arguments[statement.arguments.count - 1]
        try checkPlace(of: match, word, in: scope)
        var draft = LocationDraft(
            match: match, label: word.isSecret ? "***" : match.text, scope: RouteScope(position: statement.position))
        draft.scope.settings = scope.settings.inherited
        draft.scope.enclosing = scope.enclosing + [match]
        draft.scope.settings.captures?.formUnion(match.captureNames)
        concealed.inherit(from: scope.position, to: statement.position)
        places.nest(statement.position, in: scope.position)
        read(
            statement.block ?? [], in: .location, at: statement.position, rows: LocationDraft.rows, into: &draft)
        check(draft, statement)
        scope.locations.append(draft)
    }

    /// A location that no request can reach, or that says again what another says, is a mistake.
    private func checkPlace(of match: LocationMatch, _ word: Argument, in scope: RouteScope) throws(Diagnostic) {
        if let earlier = scope.locations.first(where: { $0.match.isReachedBeforeOrInstead(of: match) }) {
            throw word.error(
                "duplicate location \"\(word.shown)\": the first one is at \(earlier.scope.position.text), and "
                    + "this one is unreachable"
            )
        }
        switch scope.enclosing.last {
        case .exact(let path):
            throw word.error("no location can be inside of \"= \(String(decoding: path, as: UTF8.self))\"")
        case .prefix(let path, _):
            guard let inner = match.path, !inner.isInside(path) else { return }
            throw word.error(
                "location \"\(word.shown)\" is unreachable: it is outside of "
                    + "\"\(String(decoding: path, as: UTF8.self))\", which encloses it"
            )
        default: return
        }
    }

    private mutating func check(_ draft: LocationDraft, _ statement: Statement) {
        check(draft.scope, statement, isAnswering: true)
        if let answer = draft.scope.answerWord, let target = draft.targetWord {
            report(
                target.error(
                    "\"proxy_pass\" is unreachable: \"\(answer.text)\" in line \(answer.position.line) answers every request"
                ))
        }
        if draft.target == nil, draft.targetWord == nil, draft.scope.answerWord == nil, draft.scope.locations.isEmpty {
            report(
                Diagnostic(
                    .note, at: statement.position,
                    "this location has neither \"proxy_pass\" nor \"return\": it answers 404",
                    length: statement.name.length))
        }
    }

    /// What servers and locations must say about identity.
    mutating func check(_ scope: RouteScope, _ statement: Statement, isAnswering: Bool) {
        let settings = scope.settings
        if settings.crossOrigin != nil,
            let field = settings.addedHeaders.first(where: { $0.field.foldedName.hasPrefix("access-control-") })
        {
            report(
                statement.error(
                    "\"add_header \(field.field.name)\" and \"cors\" both hold here: browsers refuse an answer that says "
                        + "it twice", suggestion: "remove the \"add_header\""))
        }
        checkRevocation(settings)
        if isAnswering, let token = settings.identityToken,
            (settings.identityHeaders + settings.upstreamFields).contains(where: {
                $0.foldedName == FieldTemplate(name: token.header, value: Template([])).foldedName
            })
        {
            report(
                statement.error(
                    "\"\(token.header)\" is written twice here: by \"identity_token\", and by \"identity_headers\" or "
                        + "\"proxy_set_header\""))
        }
        guard let auth = settings.auth else {
            if isAnswering {
                report(
                    statement.error(
                        "this \(statement.name.text) neither inherits nor says \"auth\"",
                        suggestion: "say \"auth PROVIDER;\" or, for everybody, \"auth off;\""))
            } else if let require = settings.ownRequire {
                report(require.error("\"\(require.text)\" needs an identity: say \"auth PROVIDER;\" here or outside"))
            }
            return
        }
        guard auth.isOff else {
            auth.providers.forEach { useProvider($0) }
            return
        }
        if let require = settings.ownRequire {
            report(
                require.error(
                    "\"\(require.text)\" needs an identity, but \"auth off\" of line \(auth.word.position.line) holds here"
                ))
        }
        if let token = settings.ownIdentityToken {
            report(
                token.error(
                    "\"identity_token\" needs an identity, but \"auth off\" of line \(auth.word.position.line) holds here"
                ))
        }
        for use in settings.ownIdentityUses {
            report(
                use.error(
                    "a variable of the identity never has a value here: \"auth off\" of line "
                        + "\(auth.word.position.line) holds"
                ))
        }
    }

    private mutating func useProvider(_ auth: Argument) {
        if let index = configuration.providers.firstIndex(where: { $0.name == auth.text }) {
            usedProviders.insert(index)
        } else {
            report(
                auth.error(
                    "undefined auth_provider \"\(auth.shown)\"",
                    suggestion: Spelling.suggestion(
                        for: auth.text, among: configuration.providers.map(\.name) + ["off"])))
        }
    }
}

extension LocationMatch {
    fileprivate init(_ statement: Statement) throws(Diagnostic) {
        var modifier = ""
        var word = statement.arguments[0]
        if statement.arguments.count == 2 {
            modifier = word.text
            word = statement.arguments[1]
            guard ["=", "^~", "~", "~*"].contains(modifier) else {
                throw statement.arguments[0].error(
                    "\"\(statement.arguments[0].shown)\" is not a kind of location: there are =, ^~, ~ and ~*")
            }
        } else if !word.isQuoted, let glued = ["=", "^~", "~*", "~"].first(where: { word.text.hasPrefix($0) }) {
            // nginx reads `=/path` like `= /path`.
            modifier = glued
            word.pieces[0] = .written(String(word.text.dropFirst(glued.count)))
        }
        if modifier.hasPrefix("~") {
            guard !word.text.isEmpty else { throw word.error("a regular expression must follow \"\(modifier)\"") }
            self = .pattern(word.text, isCaseSensitive: modifier == "~")
            return
        }
        if word.text.hasPrefix("@") { throw word.error("named locations are not supported yet") }
        try Self.check(word)
        let path = Array(word.text.utf8)
        self = modifier == "=" ? .exact(path) : .prefix(path, stopsPatterns: modifier == "^~")
    }

    /// A path that no normalised request path can begin with would protect nothing.
    private static func check(_ word: Argument) throws(Diagnostic) {
        let text = word.text
        guard text.hasPrefix("/") else {
            throw word.error(
                "the path of a location begins with \"/\"", suggestion: "a regular expression follows \"~\"")
        }
        if text.contains("?") || text.contains("#") {
            throw word.error(
                "location \"\(word.shown)\" is unreachable: a path holds no \"?\" or \"#\", and the query is "
                    + "not matched"
            )
        }
        if text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f || $0 == UInt8(ascii: "\\") }) {
            throw word.error("location \"\(word.shown)\" is unreachable: such characters are refused in a path")
        }
        let segments = text.split(separator: "/").map { $0.replacing("%2e", with: ".").replacing("%2E", with: ".") }
        if segments.contains(".") || segments.contains("..") {
            throw word.error("location \"\(word.shown)\" is unreachable: dot segments are resolved before matching")
        }
    }

    /// The literal path, if it is one.
    var path: [UInt8]? {
        switch self {
        case .exact(let path), .prefix(let path, _): path
        case .pattern, .fallback: nil
        }
    }

    /// As written in a configuration, for labels.
    var text: String {
        switch self {
        case .exact(let path): "= " + String(decoding: path, as: UTF8.self)
        case .prefix(let path, let stops): (stops ? "^~ " : "") + String(decoding: path, as: UTF8.self)
        case .pattern(let pattern, let isCaseSensitive): (isCaseSensitive ? "~ " : "~* ") + pattern
        case .fallback: "unmatched"
        }
    }

    /// Whether a later sibling with `other` would never be asked.
    fileprivate func isReachedBeforeOrInstead(of other: LocationMatch) -> Bool {
        switch (self, other) {
        case (.exact(let a), .exact(let b)), (.prefix(let a, _), .prefix(let b, _)): a == b
        case (.pattern(let a, let caseA), .pattern(let b, let caseB)): a == b && (caseA == caseB || !caseA)
        default: false
        }
    }
}

extension [UInt8] {
    /// By whole segments: `/api/x` and `/api` are inside `/api`, `/apix` is not.
    fileprivate func isInside(_ prefix: [UInt8]) -> Bool {
        guard starts(with: prefix) else { return false }
        return count == prefix.count || prefix.last == UInt8(ascii: "/") || self[prefix.count] == UInt8(ascii: "/")
    }
}
