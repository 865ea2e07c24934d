// Who may do what in a location.

/// What a request needs to be let into a location. Two locations with equal values have the same access (path guard).
package struct Access: Sendable, Equatable, Hashable {
    /// Index of the provider; nil: `auth off`.
    package var provider: Int?
    /// Each `require permission` line is an item of its own; all of them must be had.
    package var permissions: [RequiredPermission] = []

    package init() {}
}

/// `require permission NAME`
package struct RequiredPermission: Sendable, Equatable, Hashable {
    package var name: String

    package init(name: String) { self.name = name }
}

extension Access {
    static let rows: [Directive<RouteSettings>] = [
        Directive(
            row: DirectiveRow(
                name: "auth", blocks: [.main, .server, .location], form: "PROVIDER | off", arity: 1 ... .max,
                summary: "Who may say who is asking: a request without a valid token of that provider is refused"),
            read: { statement, settings, _ throws(Diagnostic) in
                let word = statement.arguments[0]
                settings.auth = word
                if statement.arguments.count > 1 {
                    // Said, if badly: nobody shall complain that it was not.
                    settings.auth = Argument("any", position: word.position)
                    guard word.text == "any" || word.text == "all" else {
                        throw statement.arguments[1].error("\"auth\" takes one argument: a provider or \"off\"")
                    }
                    throw word.error("\"auth \(word.text)\" with several providers is not supported yet")
                }
            },
            write: { $0.auth.map { [WrittenLine([Syntax.quoted($0.text)])] } ?? [] }),
        Directive(
            row: DirectiveRow(
                name: "require", blocks: [.main, .server, .location], form: "permission NAME", arity: 1 ... .max,
                repeats: true, summary: "A permission that the identity must have; several lines: all of them"),
            clear: { $0.permissions = [] },
            read: { statement, settings, _ throws(Diagnostic) in
                settings.permissions.append(try RequiredPermission(statement))
                settings.ownRequire = settings.ownRequire ?? statement.name
            },
            write: { $0.permissions.map { WrittenLine(["permission", Syntax.quoted($0.name)]) } }),
        .setting(
            "forward_token", in: [.main, .server, .location], .flag, \.forwardsToken,
            "Whether a verified token is passed on to the upstream"),
    ]
}

extension RequiredPermission {
    fileprivate init(_ statement: Statement) throws(Diagnostic) {
        let kind = statement.arguments[0]
        switch kind.text {
        case "permission": break
        case "scope", "role", "claim", "any", "all":
            throw kind.error("\"require \(kind.text)\" is not supported yet")
        default:
            throw kind.error(
                "\"require\" does not know \"\(kind.shown)\"",
                suggestion: Spelling.suggestion(for: kind.text, among: ["permission"])
                    ?? "write \"require permission NAME\"")
        }
        guard statement.arguments.count == 2 else {
            throw kind.error(
                "\"require permission\" takes one name, not \(statement.arguments.count - 1)",
                suggestion: "each \"require permission\" line is needed; write one for each name")
        }
        let name = statement.arguments[1]
        // What may stand in the `scope` of a challenge (RFC 6749 section 3.3): a quote there would end it.
        guard !name.text.isEmpty,
            name.text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }
            )
        else {
            throw name.error(
                "\"\(name.shown)\" is not a permission: it may hold no blanks, quotes, backslashes or non-ASCII "
                    + "characters"
            )
        }
        self.init(name: name.text)
    }
}
