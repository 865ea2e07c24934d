// The rows of `revocation NAME { … }`, and of `revocation NAME;` where it is obeyed.
internal import Bytes

/// A `revocation` block while it is read.
struct RevocationDraft {
    var revocation: Revocation
    var feedWord: Argument?
    var channelWord: Argument?
    var allowsClearText = false
    /// `on_stale deny`, which needs somebody to hear.
    var denyWord: Argument?
    /// `client_id` or `client_secret`.
    var clientWord: Argument?

    init(_ revocation: Revocation) {
        self.revocation = revocation
        let feedIsOpen = revocation.feed.map { !$0.isTLS && !Self.isLoopback($0.host) } ?? false
        let channelIsOpen = revocation.channel.map { !$0.isTLS && !Self.isLoopback($0.host) } ?? false
        allowsClearText = feedIsOpen || channelIsOpen
    }

    /// A literal address of this machine: what goes there in clear text nobody else reads or changes.
    fileprivate static func isLoopback(_ host: String) -> Bool { IPAddress(host)?.isLoopback ?? false }

    static let rows: [Directive<RevocationDraft>] =
        sourceRows + clientRows + [
            staleRow,
            TrustedAuthorities.row(.revocation, \.revocation.authorities, servers: "the sources are"),
            .setting(
                "insecure", in: [.revocation], .flag, \.allowsClearText,
                "Whether sources may be heard without TLS at other than a literal loopback address"),
        ]

    private static let sourceRows: [Directive<RevocationDraft>] = [
        Directive(
            row: DirectiveRow(
                name: "feed", blocks: [.revocation], form: "URL", arity: 1...1,
                summary: "A service that is asked for news in a long poll"),
            read: { statement, draft, _ throws(Diagnostic) in
                draft.feedWord = statement.arguments[0]
                draft.revocation.feed = try WebAddress(feed: statement.arguments[0])
            },
            write: { $0.revocation.feed.map { [WrittenLine([Syntax.quoted($0.url)])] } ?? [] }),
        Directive(
            row: DirectiveRow(
                name: "redis", blocks: [.revocation],
                form: "redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE] | rediss://… channel=NAME", arity: 2...2,
                summary: "A channel of a Redis server on which revocations are published"),
            read: { statement, draft, _ throws(Diagnostic) in
                draft.channelWord = statement.arguments[0]
                draft.revocation.channel = try RedisChannel(statement.arguments[0], statement.arguments[1])
            },
            write: { $0.revocation.channel.map { [WrittenLine($0.written)] } ?? [] }),
    ]

    private static let clientRows: [Directive<RevocationDraft>] = [
        Directive(
            row: DirectiveRow(
                name: "client_id", blocks: [.revocation], form: "TEXT", arity: 1...1,
                summary: "The name that the gateway gives to the feed (HTTP Basic)"),
            read: { statement, draft, _ throws(Diagnostic) in
                draft.clientWord = statement.name
                draft.revocation.clientID = try credential(statement.arguments[0])
            },
            write: { $0.revocation.clientID.map { [WrittenLine([Syntax.quoted($0)])] } ?? [] }),
        Directive(
            row: DirectiveRow(
                name: "client_secret", blocks: [.revocation], form: "TEXT", arity: 1...1,
                summary: "The secret that belongs to the name, best as ${file:…}"),
            read: { statement, draft, _ throws(Diagnostic) in
                draft.clientWord = statement.name
                draft.revocation.clientSecret = try credential(statement.arguments[0])
            },
            write: { $0.revocation.clientSecret.map { [WrittenLine([Syntax.quoted($0)])] } ?? [] }),
    ]

    private static func credential(_ word: Argument) throws(Diagnostic) -> String {
        guard !word.text.isEmpty, word.text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7f }) else {
            throw word.error("a credential is not empty and holds no control characters")
        }
        return word.text
    }

    private static let staleRow = Directive<RevocationDraft>(
        row: DirectiveRow(
            name: "on_stale", blocks: [.revocation], form: "allow | deny [max_age=TIME (1s to 24h)]", arity: 1...2,
            summary: "What becomes of requests when no source has been heard for that long"),
        read: { statement, draft, _ throws(Diagnostic) in
            let choice = statement.arguments[0]
            draft.revocation.deniesWhenStale = try Codec.choice([("allow", false), ("deny", true)]).parse([choice])
            draft.denyWord = draft.revocation.deniesWhenStale ? choice : nil
            guard statement.arguments.count == 2 else { return }
            guard let age = statement.arguments[1].value(of: "max_age") else {
                throw statement.arguments[1].error(
                    "unknown parameter \"\(statement.arguments[1].shown)\" of \"on_stale\"",
                    suggestion: "on_stale \(choice.shown) max_age=60s")
            }
            draft.revocation.maxAge = try Units.time(age, .seconds(1) ... .seconds(86_400))
        },
        write: { draft in
            let word = draft.revocation.deniesWhenStale ? "deny" : "allow"
            return [WrittenLine([word, "max_age=\(Units.text(time: draft.revocation.maxAge))"])]
        })
}

extension Revocation {
    static let row = Directive<MainSettings>(
        row: DirectiveRow(
            name: "revocation", blocks: [.main], form: "NAME { … }", arity: 1...1, repeats: true, opensBlock: true,
            summary: "Where it is heard which tokens are dead before they expire"),
        read: { statement, _, reader throws(Diagnostic) in try reader.readRevocation(statement) },
        write: { _ in [] })

    static let routeRow = Directive<RouteSettings>(
        row: DirectiveRow(
            name: "revocation", blocks: [.server, .location], form: "NAME | off", arity: 1...1,
            summary: "Whose revocations are obeyed: a credential that is among them is refused"),
        read: { statement, settings, _ throws(Diagnostic) in
            settings.revocation = statement.arguments[0]
            settings.ownRevocation = statement.arguments[0]
        },
        write: { [WrittenLine([$0.revocation.map { Syntax.quoted($0.text) } ?? "off"])] })
}

extension ConfigurationReader {
    fileprivate mutating func readRevocation(_ statement: Statement) throws(Diagnostic) {
        let name = statement.arguments[0]
        // The name goes into metrics and paths.
        let isPlain = name.text.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
            default: "._-".utf8.contains(byte)
            }
        }
        guard isPlain, (1...64).contains(name.text.utf8.count), name.text != "off" else {
            throw name.error(
                "\"\(name.shown)\" is no name for a revocation: up to 64 letters, digits, \"-\", \"_\" and \".\" "
                    + "are allowed, but not \"off\"")
        }
        if let earlier = configuration.revocations.first(where: { $0.name == name.text }) {
            throw name.error("duplicate revocation \"\(name.shown)\": the first one is at \(earlier.position.text)")
        }
        guard configuration.revocations.count < Revocation.maximumCount else {
            throw statement.error("at most \(Revocation.maximumCount) revocations can be configured")
        }
        var draft = RevocationDraft(Revocation(name: name.text, position: statement.position))
        let before = errorCount
        read(statement.block ?? [], in: .revocation, at: statement.position, rows: RevocationDraft.rows, into: &draft)
        configuration.revocations.append(draft.revocation)
        // A line that could not be read would be called missing.
        if errorCount == before { try check(draft) }
    }

    private mutating func check(_ draft: RevocationDraft) throws(Diagnostic) {
        let revocation = draft.revocation
        if let word = draft.denyWord, !revocation.hasSource {
            throw word.error("\"on_stale deny\" needs \"feed\" or \"redis\": nobody would ever be heard")
        }
        if let authorities = revocation.authorities, !revocation.hasSource {
            throw Diagnostic(at: authorities.position, "\"ca\" means nothing without \"feed\" or \"redis\"")
        }
        if let word = draft.clientWord {
            guard revocation.feed != nil else { throw word.error("\"\(word.text)\" means nothing without \"feed\"") }
            guard revocation.clientID != nil, revocation.clientSecret != nil else {
                throw word.error("\"client_id\" and \"client_secret\" belong together")
            }
        }
        if draft.allowsClearText { return }
        for (word, host, isTLS) in [
            (draft.feedWord, revocation.feed?.host, revocation.feed?.isTLS),
            (draft.channelWord, revocation.channel?.host, revocation.channel?.isTLS),
        ] {
            guard let word, let host, let isTLS, !isTLS, !RevocationDraft.isLoopback(host) else { continue }
            throw word.error(
                "what is heard without TLS can be changed by anybody on the way",
                suggestion: "use TLS, a literal loopback address such as 127.0.0.1, or say \"insecure on\"")
        }
    }

    /// What servers and locations say about revocations.
    mutating func checkRevocation(_ settings: RouteSettings) {
        guard let word = settings.revocation, word.text != "off" else { return }
        guard let index = configuration.revocations.firstIndex(where: { $0.name == word.text }) else {
            report(
                word.error(
                    "undefined revocation \"\(word.shown)\"",
                    suggestion: Spelling.suggestion(
                        for: word.text, among: configuration.revocations.map(\.name) + ["off"])))
            return
        }
        usedRevocations.insert(index)
        if let auth = settings.auth, auth.isOff, let own = settings.ownRevocation {
            report(
                own.error(
                    "\"revocation\" needs an identity, but \"auth off\" of line \(auth.word.position.line) holds here"))
        }
    }
}

extension WebAddress {
    fileprivate init(feed word: Argument) throws(Diagnostic) {
        do throws(Fault) {
            try self.init(word.text)
        } catch {
            switch error {
            case .scheme:
                throw word.error("\"\(word.shown)\" is not an address of a feed: https://… or http://… is expected")
            case .characters: throw word.error("\"\(word.shown)\" holds characters that an address cannot have")
            case .host: throw word.error("\"\(word.shown)\" has no valid host and port")
            }
        }
    }
}

extension RedisChannel {
    private static let maximumDatabase = 16_383

    fileprivate init(_ word: Argument, _ parameter: Argument) throws(Diagnostic) {
        let url = word.text
        guard let scheme = ["rediss", "redis"].first(where: { url.hasPrefix($0 + "://") }) else {
            throw word.error("\"\(word.shown)\" is not an address of Redis: redis://… or rediss://… is expected")
        }
        guard let channel = parameter.value(of: "channel") else {
            throw parameter.error("\"redis\" needs the channel: channel=NAME", suggestion: "redis URL channel=NAME")
        }
        guard (1...256).contains(channel.text.utf8.count), channel.text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f })
        else { throw channel.error("\"\(channel.shown)\" is no name for a channel") }
        let rest = url.dropFirst(scheme.utf8.count + 3)
        let authority = rest.prefix { $0 != "/" }
        // A password may hold an at sign.
        let mark = authority.lastIndex(of: "@")
        let place = mark.map { authority[authority.index(after: $0)...] } ?? authority
        guard let place = HostAndPort(String(place), defaultPort: 6379) else {
            // It may hold a password, reference or not.
            throw word.error("the address of Redis has no valid host and port")
        }
        self.init(isTLS: scheme == "rediss", host: place.host, port: place.port, channel: channel.text)
        if let mark { try take(authority[..<mark], word) }
        let path = rest.dropFirst(authority.count).dropFirst()
        if path.isEmpty { return }
        guard let number = Units.decimal(String(path)), number <= Self.maximumDatabase else {
            throw word.error("the address of Redis has no valid number of a database")
        }
        database = number
    }
    private mutating func take(_ credentials: Substring, _ word: Argument) throws(Diagnostic) {
        guard let colon = credentials.firstIndex(of: ":") else {
            throw word.error("the address of Redis has a user without a password", suggestion: "redis://:PASSWORD@HOST")
        }
        user = colon == credentials.startIndex ? nil : String(credentials[..<colon])
        password = String(credentials[credentials.index(after: colon)...])
    }

    fileprivate var written: [String] {
        let name = host.contains(":") ? "[\(host)]" : host
        // A password is a secret wherever it was written.
        let credentials = password == nil ? "" : "***@"
        let path = database == 0 ? "" : "/\(database)"
        let url = "\(isTLS ? "rediss" : "redis")://\(credentials)\(name):\(port)\(path)"
        return [Syntax.quoted(url), Syntax.quoted("channel=\(channel)")]
    }
}
