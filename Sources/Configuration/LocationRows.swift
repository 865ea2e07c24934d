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
            form:
                "http://UPSTREAM[URI] | http://HOST[:PORT][URI] | http://unix:PATH[:URI] | https://… | grpc://… | grpcs://…",
            arity: 1...1,
            summary:
                "Where requests go; with a URI, it replaces the part of the path that the location matched. By \"grpc://\" "
                + "an upstream is spoken to in HTTP/2, by \"https://\" and \"grpcs://\" over TLS"),
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
        versionRow,
        .setting(
            "proxy_protocol", in: anywhere,
            .choice([("off", .off), ("on", .one), ("v1", .one), ("v2", .two)]), \.sourceHeader,
            "Connections to an endpoint begin with whom they are for, by that version of the PROXY protocol (on: 1), and "
                + "serve one request each"),
    ]

    private static let versionRow = Directive<RouteSettings>(
        row: DirectiveRow(
            name: "proxy_http_version", blocks: anywhere, form: "1.1 | 2", arity: 1...1,
            summary: "The version of HTTP that upstreams by \"http://\" and \"https://\" are spoken to in"),
        read: { statement, settings, _ throws(Diagnostic) in
            let word = statement.arguments[0]
            switch word.text {
            case "1.1": settings.prefersFrames = false
            case "2": settings.prefersFrames = true
            case "1.0": throw word.error("\"1.0\" is not supported: connections are kept, which HTTP/1.1 can")
            default: throw word.error("\"\(word.shown)\" is neither 1.1 nor 2")
            }
        },
        write: { [WrittenLine([$0.prefersFrames ? "2" : "1.1"])] })
}

/// What `proxy_pass` says.
struct ProxyTarget: Sendable {
    var upstream: Int
    /// Host and port, or name of the group, as written.
    var authority: String
    var scheme: UpstreamScheme
    var uri: [UInt8]?

    var written: String {
        let path = uri.map { String(decoding: $0, as: UTF8.self) } ?? ""
        let separator = authority.hasPrefix("unix:") && !path.isEmpty ? ":" : ""
        return "\(scheme.rawValue)://\(authority)\(separator)\(path)"
    }
    /// What the upstream must prove to be, unless `proxy_ssl_name` says it.
    var host: String {
        authority.hasPrefix("unix:") ? "localhost" : HostAndPort(authority, defaultPort: 80)?.host ?? authority
    }
}

extension ConfigurationReader {
    fileprivate mutating func proxyTarget(
        _ word: Argument, enclosing: [LocationMatch]
    ) throws(Diagnostic) -> ProxyTarget {
        let url = word.text
        guard let scheme = UpstreamScheme.allCases.first(where: { url.hasPrefix($0.rawValue + "://") }) else {
            let scheme = url.prefix { $0 != ":" }
            if ["ws", "wss"].contains(scheme), url.contains("://") {
                throw word.error("\"\(scheme)://\" is no way to an upstream: \"http://\" and \"https://\" are")
            }
            throw word.error("\"\(word.shown)\" is not an upstream: \"http://\" is missing")
        }
        let isVariable = word.pieces.contains { if case .written(let text) = $0 { text.contains("$") } else { false } }
        if isVariable { throw word.error("variables in \"proxy_pass\" are not supported yet") }
        let (authority, path) = Self.split(String(url.dropFirst(scheme.rawValue.utf8.count + 3)))
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
            upstream: try upstream(authority, word, isTLS: scheme.isTLS), authority: authority, scheme: scheme,
            uri: uri.isEmpty ? nil : uri)
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

    /// The group for the way in which the location speaks to it: other connections, and another name.
    mutating func upstream(_ target: ProxyTarget, _ settings: RouteSettings) -> Int {
        let isFramed = target.scheme.isCall || settings.prefersFrames
        let tls = target.scheme.isTLS ? settings.upstreamTLS.settings(host: target.host) : nil
        guard isFramed || tls != nil else { return target.upstream }
        if let certificate = tls?.certificate, tls?.key == nil {
            report(
                Diagnostic(
                    at: certificate.position,
                    "this \"proxy_ssl_certificate\" has no \"proxy_ssl_certificate_key\""))
        } else if let key = tls?.key, tls?.certificate == nil {
            report(
                Diagnostic(
                    at: key.position, "this \"proxy_ssl_certificate_key\" has no \"proxy_ssl_certificate\""))
        }
        let base = configuration.upstreams[target.upstream]
        let known = configuration.upstreams.firstIndex {
            $0.isFramed == isFramed && $0.tls == tls && $0.authority == target.authority
                && $0.endpoints == base.endpoints
        }
        if let known { return known }
        var upstream = base
        upstream.authority = target.authority
        upstream.isFramed = isFramed
        upstream.tls = tls
        let isSaid = target.scheme.isCall || !isFramed
        let name = "\(target.scheme.rawValue)://\(target.authority)\(isSaid ? "" : " in HTTP/2")"
        upstream.name = name
        var number = 2
        while configuration.upstreams.contains(where: { $0.name == upstream.name }) {
            upstream.name = "\(name) #\(number)"
            number += 1
        }
        configuration.upstreams.append(upstream)
        usedUpstreams.insert(configuration.upstreams.count - 1)
        return configuration.upstreams.count - 1
    }

    /// The group of that name, or one made for this address.
    private mutating func upstream(_ name: String, _ word: Argument, isTLS: Bool) throws(Diagnostic) -> Int {
        var authority = name
        // Without a port it is another one than in clear text.
        let isGroup = configuration.upstreams.prefix(configuration.namedUpstreams).contains { $0.name == name }
        if isTLS, !isGroup, HostAndPort(name, defaultPort: 443)?.hasPort == false { authority += ":443" }
        if let index = configuration.upstreams.firstIndex(where: { $0.name == authority }) {
            usedUpstreams.insert(index)
            return index
        }
        var place = word
        place.pieces = [.literal(authority)]
        if HostAndPort(name, defaultPort: 80)?.hasPort == false,
            HostAndPort(name, defaultPort: 80)?.addresses.isEmpty == true
        {
            throw word.error(
                "undefined upstream \"\(word.isSecret ? "***" : name)\", and no host has that name",
                suggestion: Spelling.suggestion(for: name, among: configuration.upstreams.map(\.name)))
        }
        var upstream = Upstream(name: authority, position: word.position)
        upstream.endpoints = try endpoints(at: place)
        configuration.upstreams.append(upstream)
        usedUpstreams.insert(configuration.upstreams.count - 1)
        return configuration.upstreams.count - 1
    }
}
