// The rows of `location`, `return` and `proxy_pass`.

/// A `location … { … }` while it is read.
struct LocationDraft: Sendable {
    var match: LocationMatch
    /// As written, for metrics and messages: `= /healthz`.
    var label: String
    var target: ProxyTarget?
    var targetWord: Argument?
    var scope: RouteScope

    static let rows: [Directive<LocationDraft>] =
        [proxyPassRow] + RouteScope.rows(for: .location).map { $0.lifted(\.scope) }
        + [IdentityTokenRules.publicationRow]

    private static let proxyPassRow = Directive<LocationDraft>(
        row: DirectiveRow(
            name: "proxy_pass", blocks: [.location],
            form: "http://UPSTREAM[URI] | http://HOST[:PORT][URI] | http://unix:PATH[:URI] | grpc://…",
            arity: 1...1,
            summary:
                "Where requests go; with a URI, it replaces the part of the path that the location matched. By \"grpc://\" "
                + "an upstream is spoken to in HTTP/2"),
        read: { statement, location, reader throws(Diagnostic) in
            location.targetWord = statement.arguments[0]
            location.target = try reader.proxyTarget(statement.arguments[0], enclosing: location.scope.enclosing)
        },
        write: { location in location.target.map { [WrittenLine([Syntax.quoted($0.written)])] } ?? [] })
}

extension RouteScope {
    static let locationRow = Directive<RouteScope>(
        row: DirectiveRow(
            name: "location", blocks: [.server, .location], form: "[= | ^~ | ~ | ~*] PATH { … }", arity: 1...2,
            repeats: true,
            opensBlock: true, summary: "What holds for requests whose path matches"),
        read: { statement, scope, reader throws(Diagnostic) in try reader.readLocation(statement, &scope) },
        write: { _ in [] })

    static let answerRow = Directive<RouteScope>(
        row: DirectiveRow(
            name: "return", blocks: [.server, .location], form: "CODE [TEXT] | CODE URL | URL", arity: 1...2,
            summary:
                "Answers without an upstream; with 301, 302, 303, 307 and 308 (302 for a URL alone) the text is "
                + "the Location"
        ),
        read: { statement, scope, _ throws(Diagnostic) in
            scope.answerWord = statement.name
            let answer = try LocationAction(answer: statement)
            scope.answer = answer
            guard case .answer(_, let text) = answer, text.needsIdentity, let word = statement.arguments.last else {
                return
            }
            scope.settings.ownIdentityUses.append(word)
        },
        write: { scope in
            guard case .answer(let status, let text)? = scope.answer else { return [] }
            return [WrittenLine([String(status)] + (text.pieces.isEmpty ? [] : [Syntax.quoted(text)]))]
        })
}

extension LocationAction {
    private static let redirects: Set<Int> = [301, 302, 303, 307, 308]
    /// RFC 9110 section 6.4.1: no content.
    private static let bodiless: Set<Int> = [204, 205, 304]

    fileprivate init(answer statement: Statement) throws(Diagnostic) {
        let first = statement.arguments[0]
        var status = 302
        var text = first
        var isText = true
        let isURL = ["http://", "https://", "$scheme"].contains { first.text.hasPrefix($0) }
        if statement.arguments.count == 2 || !isURL {
            guard let code = Units.decimal(first.text) else {
                throw first.error("\"\(first.shown)\" is neither a status code nor a URL")
            }
            if code == 444 { throw first.error("\"return 444\" is not supported: every request gets an answer") }
            guard (200...599).contains(code) else {
                throw first.error("\"\(first.shown)\" is out of bounds: a final status code is 200 to 599")
            }
            status = code
            isText = statement.arguments.count == 2
            if isText { text = statement.arguments[1] }
        }
        let template = isText ? try Template.parse(text, at: .request) : Template([])
        if Self.redirects.contains(status) {
            guard !template.pieces.isEmpty else {
                throw first.error("a redirection needs the URL to go to: \"return \(status) URL\"")
            }
            for case .text(let bytes) in template.pieces where bytes.contains(where: { $0 < 0x21 || $0 == 0x7f }) {
                throw text.error("a URL cannot hold blanks or control characters")
            }
        } else if Self.bodiless.contains(status), !template.pieces.isEmpty {
            throw text.error("an answer with status \(status) has no body")
        }
        self = .answer(status: status, text: template)
    }
}

extension ProxyPass {
    private static let anywhere: [BlockKind] = [.main, .server, .location]
    private static let timeouts: ClosedRange<Duration> = .milliseconds(1) ... .seconds(86_400)

    static let rows: [Directive<RouteSettings>] = [
        .setting(
            "proxy_connect_timeout", in: anywhere, .time(.milliseconds(1) ... .seconds(75)), \.connectTimeout,
            "How long connecting to an endpoint may take"),
        .setting(
            "proxy_read_timeout", in: anywhere, .time(timeouts), \.readTimeout, "Between two reads from an endpoint"),
        .setting(
            "proxy_send_timeout", in: anywhere, .time(timeouts), \.sendTimeout,
            "Without progress in writing to an endpoint"),
    ]
}

/// What `proxy_pass` says.
struct ProxyTarget: Sendable {
    var upstream: Int
    /// Host and port, or name of the group, as written.
    var authority: String
    var uri: [UInt8]?
    /// `grpc://`
    var isFramed = false

    var written: String {
        let path = uri.map { String(decoding: $0, as: UTF8.self) } ?? ""
        let separator = authority.hasPrefix("unix:") && !path.isEmpty ? ":" : ""
        return (isFramed ? "grpc://" : "http://") + authority + separator + path
    }
}

extension ConfigurationReader {
    fileprivate mutating func proxyTarget(
        _ word: Argument, enclosing: [LocationMatch]
    ) throws(Diagnostic) -> ProxyTarget {
        let url = word.text
        let isFramed = url.hasPrefix("grpc://")
        guard url.hasPrefix("http://") || isFramed else {
            let scheme = url.prefix { $0 != ":" }
            if ["https", "grpcs", "ws", "wss"].contains(scheme), url.contains("://") {
                throw word.error(
                    "an upstream by \"\(scheme)://\" is not supported yet: \"http://\" and \"grpc://\" are")
            }
            throw word.error("\"\(word.shown)\" is not an upstream: \"http://\" is missing")
        }
        let isVariable = word.pieces.contains { if case .written(let text) = $0 { text.contains("$") } else { false } }
        if isVariable { throw word.error("variables in \"proxy_pass\" are not supported yet") }
        let (authority, path) = Self.split(String(url.dropFirst(7)))
        let uri = Array(path.utf8)
        if !uri.isEmpty {
            if enclosing.contains(where: { if case .pattern = $0 { true } else { false } }) {
                throw word.error(
                    "\"proxy_pass\" cannot have a URI in a location given by a regular expression: which part "
                        + "it replaces is unknown"
                )
            }
            guard uri[0] == UInt8(ascii: "/"), uri.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "#") })
            else {
                throw word.error(
                    "\"\(word.isSecret ? "***" : path)\" is not a path: it begins with \"/\" and holds no "
                        + "blanks, \"#\" or non-ASCII characters"
                )
            }
            if path.contains("?") {
                throw word.error("a query in \"proxy_pass\" is not supported: the request's own is passed on")
            }
        }
        return ProxyTarget(
            upstream: isFramed ? try framed(upstream(authority, word)) : try upstream(authority, word),
            authority: authority, uri: uri.isEmpty ? nil : uri, isFramed: isFramed)
    }

    /// `host:port/path` and `unix:/socket:/path`.
    private static func split(_ rest: String) -> (authority: String, path: String) {
        if rest.hasPrefix("unix:") {
            let socket = rest.dropFirst(5).prefix { $0 != ":" }
            return ("unix:" + socket, String(rest.dropFirst(5 + socket.count).dropFirst()))
        }
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        return (String(authority), String(rest.dropFirst(authority.count)))
    }

    /// The same group, spoken to in frames: its connections are others, and so is its name.
    private mutating func framed(_ index: Int) -> Int {
        let name = "grpc://" + configuration.upstreams[index].name
        if let known = configuration.upstreams.firstIndex(where: { $0.name == name }) { return known }
        var upstream = configuration.upstreams[index]
        upstream.name = name
        upstream.isFramed = true
        configuration.upstreams.append(upstream)
        usedUpstreams.insert(configuration.upstreams.count - 1)
        return configuration.upstreams.count - 1
    }

    /// The group of that name, or one made for this address.
    private mutating func upstream(_ authority: String, _ word: Argument) throws(Diagnostic) -> Int {
        if let index = configuration.upstreams.firstIndex(where: { $0.name == authority }) {
            usedUpstreams.insert(index)
            return index
        }
        var place = word
        place.pieces = [.literal(authority)]
        if HostAndPort(authority, defaultPort: 80)?.hasPort == false,
            HostAndPort(authority, defaultPort: 80)?.addresses.isEmpty == true
        {
            throw word.error(
                "undefined upstream \"\(word.isSecret ? "***" : authority)\", and no host has that name",
                suggestion: Spelling.suggestion(for: authority, among: configuration.upstreams.map(\.name)))
        }
        var upstream = Upstream(name: authority, position: word.position)
        upstream.endpoints = try endpoints(at: place)
        configuration.upstreams.append(upstream)
        usedUpstreams.insert(configuration.upstreams.count - 1)
        return configuration.upstreams.count - 1
    }
}
