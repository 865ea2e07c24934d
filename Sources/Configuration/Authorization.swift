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
    /// `cors { pass on; }`: preflights come in without an identity.
    package var passesPreflights = false
    /// What `require` and `require_policy` say; all of it is needed. The lines come first, in their order, then the policies.
    package var requirements: [Requirement] = []
    package var methods: MethodPermissions?
    /// `auth_mode report`: what would be refused is counted and forwarded as nobody's.
    package var isReport = false
    /// A `*` that is granted stands for any one segment.
    package var grantsWildcards = false
    /// Index of the block whose revocations are obeyed; nil: none.
    package var revocation: Int?

    package init() {}
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
                name: "require", blocks: [.main, .server, .location, .policy],
                form:
                    "[any | all | not] permission | scope | role NAME… | claim PATH OPERATOR VALUE… | any | all | not { … }",
                arity: 1 ... .max, repeats: true, mayOpenBlock: true,
                summary:
                    "What the identity must have: every name of a line and every line, or what any, all and not say; "
                    + "operators are = != in contains < <= > >= exists absent; values may hold $host, $request_method, "
                    + "$remote_addr, $http_NAME and named groups of the location's expression; inside of a block the same "
                    + "stands without `require`, and also `policy NAME`"),
            clear: { $0.requirements = [] },
            read: { statement, settings, reader throws(Diagnostic) in
                settings.ownRequire = settings.ownRequire ?? statement.name
                let lines = try RequirementReader(captures: settings.captures).line(statement)
                settings.requirements += try reader.resolved(lines, in: settings)
            },
            write: { $0.requirements.map(\.written) }),
        Directive(
            row: DirectiveRow(
                name: "require_policy", blocks: [.main, .server, .location, .policy], form: "NAME…", arity: 1 ... .max,
                repeats: true, summary: "Policies whose requirements must all be met"),
            clear: { $0.policies = [] },
            read: { statement, settings, reader throws(Diagnostic) in
                settings.ownRequire = settings.ownRequire ?? statement.name
                let policies = try statement.arguments.distinct { word throws(Diagnostic) in
                    Requirement(.policy(word.text, []), at: word.position)
                }
                settings.policies += try reader.resolved(policies, in: settings)
            },
            write: { settings in
                settings.policies.map { WrittenLine(Array($0.written.arguments.dropFirst())) }
            }),
        MethodPermissions.row,
        .setting(
            "auth_mode", in: [.main, .server, .location], .choice([("enforce", false), ("report", true)]), \.isReport,
            "enforce refuses what is not allowed; report forwards it without an identity, and counts and logs what would "
                + "have been refused"),
        .setting(
            "token_recheck", in: [.main, .server, .location], Codec.time(.seconds(1) ... .seconds(86_400)).or("off"),
            \.tokenRecheck,
            "How often a request that lasts (a WebSocket, server-sent events, a call of gRPC) is judged again; it ends when "
                + "a new one would be refused, and in any case when its token does"),
        .setting(
            "grant_wildcards", in: [.main, .server, .location], .flag, \.grantsWildcards,
            "Whether a `*` in a granted permission or scope stands for any one segment between colons, as in `read:*`, "
                + "and one alone for everything"),
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
