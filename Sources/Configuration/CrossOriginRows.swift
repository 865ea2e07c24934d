// The rows of `cors`: what its words are, and which of them contradict each other.

extension CrossOriginRules {
    static let row = Directive<RouteSettings>(
        row: DirectiveRow(
            name: "cors", blocks: [.main, .server, .location], form: "{ … }", arity: 0...0, opensBlock: true,
            summary: "What scripts of other sites may do; an empty block: nothing is said about it"),
        read: { statement, settings, reader throws(Diagnostic) in
            settings.crossOrigin = try reader.readCrossOrigin(statement)
        },
        write: { settings in
            guard let rules = settings.crossOrigin else { return [WrittenLine([], block: [])] }
            if rules.origins.isEmpty { return [WrittenLine([], block: [["pass", "on"]])] }
            let lines = rows.flatMap { directive in
                directive.write(rules).map { [directive.row.name] + $0.arguments }
            }
            return [WrittenLine([], block: lines)]
        })

    static let rows: [Directive<CrossOriginRules>] = [
        list(
            "origins", "ORIGIN… | *", \.origins,
            "Whose scripts may read answers, as browsers write an origin; `https://*.example.com`: any one label",
            read: { word throws(Diagnostic) in try OriginPattern(word) }, write: \.written),
        list(
            "methods", "METHOD… | *", \.methods, "What scripts may ask with, beside what every page may",
            read: { word throws(Diagnostic) in try method(word) }, write: { $0 }),
        list(
            "headers", "NAME… | *", \.headers, "Request fields that scripts may set",
            read: { word throws(Diagnostic) in try fieldName(word) }, write: { $0 }),
        list(
            "expose", "NAME… | *", \.exposedHeaders, "Fields of answers that scripts may read",
            read: { word throws(Diagnostic) in try fieldName(word) }, write: { $0 }),
        .setting(
            "credentials", in: [.cors], .flag, \.allowsCredentials,
            "Whether scripts may ask with cookies and client certificates"),
        .setting(
            "max_age", in: [.cors], .time(.zero ... .seconds(86_400)), \.maxAge,
            "How long browsers remember the answer to a preflight"),
        .setting(
            "pass", in: [.cors], .flag, \.passesPreflights,
            "Whether preflights go to the upstream, without an identity, rather than being answered"),
    ]

    private static func list<Value: Equatable & Sendable>(
        _ name: String, _ form: String, _ field: any WritableKeyPath<CrossOriginRules, [Value]> & Sendable,
        _ summary: String, read: @escaping @Sendable (Argument) throws(Diagnostic) -> Value,
        write: @escaping @Sendable (Value) -> String
    ) -> Directive<CrossOriginRules> {
        Directive(
            row: DirectiveRow(name: name, blocks: [.cors], form: form, arity: 1 ... .max, summary: summary),
            read: { statement, rules, _ throws(Diagnostic) in
                rules[keyPath: field] = []
                for word in statement.arguments {
                    let value = try read(word)
                    if rules[keyPath: field].contains(value) {
                        throw word.error("duplicate \"\(word.shown)\" in \"\(name)\"")
                    }
                    rules[keyPath: field].append(value)
                }
                if statement.arguments.count > 1, let any = statement.arguments.first(where: { $0.text == "*" }) {
                    throw any.error("\"*\" stands alone: it means all of them")
                }
            },
            write: { rules in
                let values = rules[keyPath: field]
                return values.isEmpty ? [] : [WrittenLine(values.map { Syntax.quoted(write($0)) })]
            })
    }

    private static func method(_ word: Argument) throws(Diagnostic) -> String {
        guard word.text == "*" || FieldTemplate.isToken(word.text) else {
            throw word.error("\"\(word.shown)\" is not a method")
        }
        if ["CONNECT", "TRACE"].contains(word.text) {
            throw word.error("\"\(word.text)\" is never allowed: no script can ask with it")
        }
        return word.text
    }
    private static func fieldName(_ word: Argument) throws(Diagnostic) -> String {
        guard word.text == "*" || FieldTemplate.isToken(word.text) else {
            throw word.error("\"\(word.shown)\" is not a name of a header field")
        }
        return word.text
    }
}

extension ConfigurationReader {
    fileprivate mutating func readCrossOrigin(_ statement: Statement) throws(Diagnostic) -> CrossOriginRules? {
        let block = statement.block ?? []
        if block.isEmpty { return nil }
        var rules = CrossOriginRules()
        read(block, in: .cors, at: statement.position, rows: CrossOriginRules.rows, into: &rules)
        func line(_ name: String) -> Argument? { block.first { $0.name.text == name }?.arguments.first }
        if line("origins") == nil {
            guard rules.passesPreflights else {
                throw statement.error("\"cors\" needs \"origins\"", suggestion: "origins https://app.example.com;")
            }
            if let other = block.first(where: { $0.name.text != "pass" }) {
                throw other.error("without \"origins\" the upstream says everything, so this line means nothing")
            }
        }
        // With credentials a `*` is no wildcard (Fetch section 3.3.5), and an open door where it is taken for one.
        guard rules.allowsCredentials else { return rules }
        for (name, isOpen) in [
            ("origins", rules.origins.contains(.any)), ("methods", rules.methods == ["*"]),
            ("headers", rules.headers == ["*"]), ("expose", rules.exposedHeaders == ["*"]),
        ] where isOpen {
            throw (line(name) ?? statement.name).error(
                "\"\(name) *\" cannot go with \"credentials on\"", suggestion: "name them, one by one")
        }
        return rules
    }
}

extension OriginPattern {
    /// Compared with what browsers send, letter by letter, so what none of them sends is a mistake.
    fileprivate init(_ word: Argument) throws(Diagnostic) {
        let text = word.text
        if text == "*" {
            self = .any
            return
        }
        if text == "null" {
            throw word.error("\"null\" is no origin to be trusted: every sandboxed page and local file has it")
        }
        guard let colon = text.firstRange(of: "://"), Self.isScheme(text[..<colon.lowerBound]) else {
            throw word.error(
                "\"\(word.shown)\" is not an origin: a scheme is missing", suggestion: "https://\(word.shown)")
        }
        let scheme = String(text[..<colon.upperBound])
        var authority = String(text[colon.upperBound...])
        let isWild = authority.hasPrefix("*.")
        if isWild { authority.removeFirst(2) }
        guard !authority.contains(where: { "/?#@".contains($0) }) else {
            throw word.error("\"\(word.shown)\" is not an origin: that is a scheme, a host and perhaps a port, no more")
        }
        guard text == text.lowercased() else {
            throw word.error(
                "browsers write an origin in lower case", suggestion: word.isSecret ? nil : text.lowercased())
        }
        guard let place = HostAndPort(authority, defaultPort: 1), Self.isHost(place.host) else {
            throw word.error(
                "\"\(word.shown)\" has no valid host and port; other alphabets are written as browsers send them (xn--…)"
            )
        }
        if place.hasPort, scheme == "https://" && place.port == 443 || scheme == "http://" && place.port == 80 {
            throw word.error("browsers leave out the port \(place.port), which is the scheme's own")
        }
        if isWild, !place.host.contains("."), place.host != "localhost" {
            throw word.error("anybody may have a name under \"\(word.isSecret ? "***" : place.host)\"")
        }
        self = isWild ? .oneLabel(scheme: scheme, domain: "." + authority) : .exact(text)
    }

    private static func isScheme(_ text: Substring) -> Bool {
        guard let first = text.utf8.first, (0x61...0x7a).contains(first) || (0x41...0x5a).contains(first) else {
            return false
        }
        return text.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2b, 0x2d, 0x2e: true
            default: false
            }
        }
    }
    private static func isHost(_ host: String) -> Bool { !host.hasPrefix(".") && !host.contains("..") }
}
