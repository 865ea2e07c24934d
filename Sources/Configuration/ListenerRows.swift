// The rows of `server { … }` that say where it listens, what it is called, and with which certificate.
internal import Bytes

/// A `server { … }` while it is read.
struct ServerDraft {
    var names: [ServerName] = []
    var nameWords: [String] = []
    var listens: [ListenDraft] = []
    /// Even if a line could not be read.
    var saysListen = false
    var tls = TLSDraft()
    var streams = StreamDraft()
    var scope: RouteScope

    init(position: SourcePosition) { scope = RouteScope(position: position) }

    static let rows: [Directive<ServerDraft>] =
        ownRows + TLSDraft.rows.map { $0.lifted(\.tls) } + StreamDraft.rows.map { $0.lifted(\.streams) }
        + RouteScope.rows(for: .server).map { $0.lifted(\.scope) }

    private static let ownRows: [Directive<ServerDraft>] = [
        Directive(
            row: DirectiveRow(
                name: "listen", blocks: [.server],
                form: "ADDRESS[:PORT] | PORT | unix:PATH [ssl] [proxy_protocol] [default_server] [backlog=N]",
                arity: 1 ... .max,
                repeats: true,
                summary:
                    "An address to listen on; the default server of an address answers for names that no server has. "
                    + "With \"proxy_protocol\" each connection of `trusted_proxies` begins with whom it is from, by version 1 "
                    + "or 2 of the PROXY protocol, and others are closed"),
            read: { statement, server, reader throws(Diagnostic) in
                server.saysListen = true
                server.listens.append(try reader.listen(statement))
            },
            write: { $0.listens.map { WrittenLine($0.written) } }),
        Directive(
            row: DirectiveRow(
                name: "server_name", blocks: [.server], form: "NAME… (exact, *.NAME, NAME.*, .NAME, ~REGEX)",
                arity: 1 ... .max,
                repeats: true, summary: "The hosts that this server answers for"),
            read: { statement, server, _ throws(Diagnostic) in
                for word in statement.arguments {
                    let name = try ServerName(word)
                    if server.names.contains(name) { throw word.error("duplicate server_name \"\(word.shown)\"") }
                    server.names.append(name)
                }
            },
            write: { server in
                server.names.isEmpty ? [] : [WrittenLine(server.names.map { Syntax.quoted($0.written) })]
            }),
    ]
}

/// One `listen` line.
struct ListenDraft {
    var addresses: [ListenAddress]
    var isTLS = false
    var takesProxyProtocol = false
    var isDefault = false
    var backlog: Int?
    var word: Argument

    fileprivate var written: [String] {
        [Syntax.quoted(addresses[0].text)] + (isTLS ? ["ssl"] : [])
            + (takesProxyProtocol ? ["proxy_protocol"] : []) + (isDefault ? ["default_server"] : [])
            + (backlog.map { ["backlog=\($0)"] } ?? [])
    }
}

extension ConfigurationReader {
    fileprivate func listen(_ statement: Statement) throws(Diagnostic) -> ListenDraft {
        let word = statement.arguments[0]
        var draft = ListenDraft(addresses: try listenAddresses(word), word: word)
        for parameter in statement.arguments.dropFirst() {
            switch parameter.text {
            case "ssl": draft.isTLS = true
            case "default_server", "default": draft.isDefault = true
            case "reuseport": throw parameter.error("\"reuseport\" is not needed: each worker has a socket of its own")
            case "http2": throw parameter.error("\"http2\" of \"listen\" is not needed: say \"http2 on\"")
            case "proxy_protocol": draft.takesProxyProtocol = true
            case "quic": throw parameter.error("\"quic\" of \"listen\" is not supported: HTTP/3 is not spoken")
            default:
                if let backlog = parameter.value(of: "backlog") {
                    draft.backlog = try Units.count(backlog, 1...65_535)
                } else if let only = parameter.value(of: "ipv6only") {
                    // nginx's default, and ours: an address of one family never takes connections of the other.
                    guard only.text == "on" else {
                        throw parameter.error("\"ipv6only=off\" is not supported: listen on both addresses")
                    }
                } else {
                    let name = String(parameter.shown.prefix { $0 != "=" })
                    let nginx = [
                        "setfib", "fastopen", "rcvbuf", "sndbuf", "accept_filter", "deferred", "bind", "so_keepalive",
                        "multipath",
                    ]
                    if nginx.contains(name) { throw parameter.error("\"\(name)\" of \"listen\" is not supported") }
                    throw parameter.error(
                        "unknown parameter \"\(parameter.shown)\" of \"listen\"",
                        suggestion: Spelling.suggestion(
                            for: name, among: ["ssl", "proxy_protocol", "default_server", "backlog"]))
                }
            }
        }
        return draft
    }

    /// `80`, `*:80`, `1.2.3.4`, `1.2.3.4:80`, `[::]:80`, `localhost:80`, `unix:/path`; port 80 unless said.
    func listenAddresses(_ word: Argument) throws(Diagnostic) -> [ListenAddress] {
        if let path = try unixPath(word) { return [.unix(path)] }
        var text = word.text
        if let port = Units.decimal(text) { text = "*:\(port)" }
        if text == "*" || text.hasPrefix("*:") { text = "0.0.0.0" + text.dropFirst() }
        guard let place = HostAndPort(text, defaultPort: 80) else {
            throw word.error(
                "\"\(word.shown)\" is not an address to listen on",
                suggestion: "write 8080, *:8080, 127.0.0.1:8080, [::]:8080, localhost:8080 or unix:PATH")
        }
        let addresses = place.addresses
        guard !addresses.isEmpty else {
            throw word.error("the host name \"\(word.isSecret ? "***" : place.host)\" has no address")
        }
        return addresses.map { .socket($0) }
    }
}

extension ServerName {
    /// nginx's forms: `name`, `*.name`, `.name`, `name.*`, `~regex`, and `_` or `""` for a name that nobody asks for.
    init(_ word: Argument) throws(Diagnostic) {
        let text = word.text
        if text.hasPrefix("~") {
            guard text.utf8.count > 1 else { throw word.error("a regular expression must follow \"~\"") }
            self = .pattern(String(text.dropFirst()), word.position)
            return
        }
        if text.contains("$") { throw word.error("\"server_name\" takes no variables") }
        var name = text.lowercased()
        enum Kind { case exact, suffix, both, prefix }
        var kind = Kind.exact
        if name.hasPrefix("*.") {
            kind = .suffix
            name.removeFirst()
        } else if name.hasPrefix(".") {
            kind = .both
        } else if name.hasSuffix(".*") {
            kind = .prefix
            name.removeLast()
        }
        let isIP = IPAddress(name.trimming("[", "]")) != nil
        let isPlain = name.utf8.allSatisfy { byte in
            byte >= 0x80
                ? false : (0x30...0x39).contains(byte) || (0x61...0x7a).contains(byte) || "-._".utf8.contains(byte)
        }
        if text.contains("*"), kind == .exact || name.contains("*") {
            throw word.error("\"\(word.shown)\" is no name: \"*\" may stand only as the whole first or last label")
        }
        guard isIP || isPlain, !name.hasSuffix(".") || kind == .prefix, name.utf8.count <= 253, name != "." else {
            throw word.error(
                "\"\(word.shown)\" is not the name of a host",
                suggestion: text.contains { !$0.isASCII } ? "write it in its ASCII form (xn--…)" : nil)
        }
        let bytes = Array(name.utf8)
        switch kind {
        case .exact: self = .exact(bytes)
        case .suffix: self = .suffix(bytes, alsoBare: false)
        case .both: self = .suffix(bytes, alsoBare: true)
        case .prefix: self = .prefix(bytes)
        }
    }

    /// As `server_name` spells it.
    package var written: String {
        switch self {
        case .exact(let name): String(decoding: name, as: UTF8.self)
        case .suffix(let name, let alsoBare): (alsoBare ? "" : "*") + String(decoding: name, as: UTF8.self)
        case .prefix(let name): String(decoding: name, as: UTF8.self) + "*"
        case .pattern(let pattern, _): "~" + pattern
        }
    }
}

extension String {
    fileprivate func trimming(_ first: Character, _ last: Character) -> String {
        self.first == first && self.last == last && count > 1 ? String(dropFirst().dropLast()) : self
    }
}
