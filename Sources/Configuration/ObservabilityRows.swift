// The rows of logs, of the admin listener, and of how much a refusal tells.
internal import Bytes

extension ErrorLog {
    static let levels: [(String, LogLevel)] = [
        ("emerg", .emergency), ("alert", .alert), ("crit", .critical), ("error", .error), ("warn", .warning),
        ("notice", .notice), ("info", .info), ("debug", .debug),
    ]

    static let rows: [Directive<MainSettings>] = [
        Directive(
            row: DirectiveRow(
                name: "error_log", blocks: [.main],
                form: "PATH | stderr | stdout [\(levels.map(\.0).joined(separator: " | "))]", arity: 1...2,
                summary: "Where messages go, and the least urgent level that is written (error when none is named)"),
            read: { statement, main, reader throws(Diagnostic) in
                main.errorLog.target = try reader.logTarget(statement.arguments[0])
                main.errorLog.level =
                    statement.arguments.count == 2
                    ? try Codec.choice(levels).parse([statement.arguments[1]]) : .error
            },
            write: { main in
                let level = Codec.choice(levels).print(main.errorLog.level)
                return [WrittenLine([main.errorLog.target.written] + level)]
            }),
        Directive(
            row: DirectiveRow(
                name: "log_format", blocks: [.main], form: "NAME [escape=default] TEXT…", arity: 2 ... .max,
                repeats: true,
                summary: "A format of access logs: text with variables; several texts are joined"),
            read: { statement, main, reader throws(Diagnostic) in
                let format = try reader.logFormat(statement)
                main.logFormats.removeAll { $0.name == "main" && format.name == "main" }
                main.logFormats.append(format)
                reader.logFormats = main.logFormats
            },
            write: { $0.logFormats.map { WrittenLine([Syntax.quoted($0.name), Syntax.quoted($0.template)]) } }),
        Directive(
            row: DirectiveRow(
                name: "admin", blocks: [.main], form: "{ … }", arity: 0...0, opensBlock: true,
                summary: "Metrics and health for operators, on an address of their own"),
            read: { statement, main, reader throws(Diagnostic) in
                var draft = AdminDraft()
                let before = reader.diagnostics.count
                reader.read(
                    statement.block ?? [], in: .admin, at: statement.position, rows: AdminDraft.rows, into: &draft)
                if reader.diagnostics.count > before { return }
                guard let address = draft.address else {
                    throw statement.error("\"admin\" needs \"listen\": the address for metrics and health")
                }
                main.admin = AdminEndpoint(address: address, position: statement.position)
            },
            write: { _ in [] }),
    ]
}

/// `admin { … }` while it is read.
struct AdminDraft {
    var address: ListenAddress?

    static let rows: [Directive<AdminDraft>] = [
        Directive(
            row: DirectiveRow(
                name: "listen", blocks: [.admin], form: "ADDRESS:PORT | unix:PATH", arity: 1...1,
                summary: "Where metrics and health are served: a loopback address or a UNIX-domain socket"),
            read: { statement, admin, reader throws(Diagnostic) in
                let argument = statement.arguments[0]
                let address = try reader.listenAddresses(argument)[0]
                // Metrics tell about every route; without a token nobody but this machine may read them.
                if case .socket(let socket) = address, !socket.address.isLoopback {
                    throw argument.error(
                        "\"admin\" listens on loopback or a UNIX-domain socket only: a token for other "
                            + "addresses is not supported yet"
                    )
                }
                admin.address = address
            },
            write: { admin in admin.address.map { [WrittenLine([Syntax.quoted($0.text)])] } ?? [] })
    ]
}

extension AccessLog {
    static let rows: [Directive<RouteSettings>] = [
        Directive(
            row: DirectiveRow(
                name: "access_log", blocks: [.main, .server, .location], form: "PATH | stderr | stdout [FORMAT] | off",
                arity: 1...2,
                summary: "Where each request is logged, as main, json (every field) or a log_format; off: nowhere"),
            read: { statement, settings, reader throws(Diagnostic) in
                settings.accessLog = try reader.accessLog(statement)
            },
            write: { settings in
                guard let log = settings.accessLog else { return [WrittenLine(["off"])] }
                return [WrittenLine([log.target.written, Syntax.quoted(log.formatName)])]
            }),
        .setting(
            "error_detail", in: [.main, .server, .location],
            .choice([("none", .none), ("code", .code), ("full", .full)]),
            \.errorDetail,
            "What a refusal tells the client: the status alone, the machine code, or the reason in words too"),
    ]
}

extension LogTarget {
    var written: String {
        switch self {
        case .standardError: "stderr"
        case .standardOutput: "stdout"
        case .file(let path): Syntax.quoted(path)
        }
    }
}

extension ConfigurationReader {
    func logTarget(_ argument: Argument) throws(Diagnostic) -> LogTarget {
        if argument.text == "stderr" { return .standardError }
        if argument.text == "stdout" { return .standardOutput }
        if argument.text.hasPrefix("syslog:") { throw argument.error("logging to syslog is not supported yet") }
        return .file(try path(argument))
    }

    func accessLog(_ statement: Statement) throws(Diagnostic) -> AccessLog? {
        let target = statement.arguments[0]
        if target.text == "off" {
            if statement.arguments.count > 1 { throw statement.arguments[1].error("nothing can follow \"off\"") }
            return nil
        }
        var name = "main"
        if statement.arguments.count == 2 {
            let format = statement.arguments[1]
            for key in ["buffer", "flush", "gzip", "if"] where format.value(of: key) != nil || format.text == key {
                throw format.error("\"\(key)\" of \"access_log\" is not supported yet")
            }
            name = format.text
            guard name == "json" || logFormats.contains(where: { $0.name == name }) else {
                let known = logFormats.map(\.name) + ["json"]
                throw format.error(
                    "undefined log_format \"\(format.shown)\"",
                    suggestion: Spelling.suggestion(for: name, among: known)
                        ?? "there are \(known.joined(separator: ", "))")
            }
        }
        let format = logFormats.first { $0.name == name }.map { LogFormat.text($0.template) } ?? .json
        var log = AccessLog(target: try logTarget(target), format: format)
        log.formatName = name
        return log
    }

    func logFormat(_ statement: Statement) throws(Diagnostic) -> NamedFormat {
        let name = statement.arguments[0]
        if name.text == "json" || name.text == "off" {
            throw name.error("\"\(name.shown)\" is a name of our own: choose another")
        }
        if logFormats.contains(where: { $0.name == name.text && $0.name != "main" }) {
            throw name.error("duplicate log_format \"\(name.shown)\"")
        }
        var texts = statement.arguments.dropFirst()
        if let escape = texts.first?.value(of: "escape") {
            guard escape.text == "default" else {
                throw escape.error("only \"escape=default\" is supported; the format \"json\" is built in")
            }
            texts.removeFirst()
        }
        var pieces: [Template.Piece] = []
        for text in texts { pieces += try Template.parse(text, at: .log).pieces }
        return NamedFormat(name: name.text, template: Template(joining: pieces))
    }

    /// A path as seen from the folder of the configuration file.
    func path(_ argument: Argument) throws(Diagnostic) -> String {
        guard !argument.text.isEmpty, !argument.text.utf8.contains(0) else {
            throw argument.error("a path cannot be empty")
        }
        return argument.text.joined(to: folder)
    }
}
