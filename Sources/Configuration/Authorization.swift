// Who may do what in a location.

/// What a request needs to be let into a location. Two locations with equal values have the same access (path guard).
package struct Access: Sendable, Equatable, Hashable {
    /// Providers that one location can name.
    package static let maximumProviders = 8
    /// The same for `auth all`: the claims of each are held as long as the request lasts.
    package static let maximumOfAll = 4

    /// Which of several providers have to know who is asking.
    package enum Mode: Sendable, Equatable, Hashable { case any, all }

    /// Indices of the providers; none: `auth off`.
    package var providers: [Int] = []
    package var mode = Mode.any
    /// The first of them: whose name the challenge gives as realm.
    package var provider: Int? { providers.first }
    /// Each `require permission` line is an item of its own; all of them must be had.
    package var permissions: [RequiredPermission] = []
    /// `cors { pass on; }`: preflights come in without an identity.
    package var passesPreflights = false

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
                name: "auth", blocks: [.main, .server, .location],
                form: "PROVIDER | any PROVIDER… | all PROVIDER… | off",
                arity: 1 ... .max,
                summary:
                    "Who may say who is asking: a request without a valid credential of that provider (of any, or of "
                    + "all of several) is refused"),
            read: { statement, settings, _ throws(Diagnostic) in
                do throws(Diagnostic) {
                    settings.auth = try AuthSetting(statement)
                } catch {
                    // Said, if badly: nobody shall complain that it was not.
                    settings.auth = AuthSetting(unreadable: statement.arguments[0])
                    throw error
                }
            },
            write: { settings in
                guard let auth = settings.auth else { return [] }
                let names = auth.providers.map { Syntax.quoted($0.text) }
                if names.isEmpty { return [WrittenLine(["off"])] }
                return [WrittenLine(names.count == 1 ? names : [auth.mode == .any ? "any" : "all"] + names)]
            }),
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

/// `auth` as it was said.
struct AuthSetting: Sendable {
    var word: Argument
    /// None: `off`.
    var providers: [Argument]
    var mode = Access.Mode.any
    var isUnreadable = false
    var isOff: Bool { providers.isEmpty && !isUnreadable }

    fileprivate init(unreadable word: Argument) {
        self.word = word
        providers = []
        isUnreadable = true
    }

    /// Of a configuration that was read before.
    init(_ names: [String], _ mode: Access.Mode, position: SourcePosition) {
        word = Argument(names.first ?? "off", position: position)
        providers = names.map { Argument($0, position: position) }
        self.mode = mode
    }

    fileprivate init(_ statement: Statement) throws(Diagnostic) {
        word = statement.arguments[0]
        let several = word.text == "any" || word.text == "all"
        guard several else {
            if statement.arguments.count > 1 {
                throw statement.arguments[1].error(
                    "\"auth\" takes one provider, or \"any\" or \"all\" before several")
            }
            providers = word.text == "off" ? [] : [word]
            return
        }
        mode = word.text == "any" ? .any : .all
        providers = Array(statement.arguments.dropFirst())
        guard !providers.isEmpty else { throw word.error("\"auth \(word.text)\" needs the names of providers") }
        let limit = mode == .any ? Access.maximumProviders : Access.maximumOfAll
        guard providers.count <= limit else {
            throw word.error("\"auth \(word.text)\" takes at most \(limit) providers")
        }
        _ = try providers.distinct { provider throws(Diagnostic) in
            if provider.text == "off" { throw provider.error("\"off\" stands alone") }
            return provider.text
        }
    }
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
