// `permissions { GET,HEAD read:data; POST write:data; }`: reading and writing.

extension MethodPermissions {
    /// More methods than HTTP has.
    private static let maximumRules = 64

    static let row = Directive<RouteSettings>(
        row: DirectiveRow(
            name: "permissions", blocks: [.main, .server, .location], form: "{ METHOD[,METHOD…] | * PERMISSION…; … }",
            arity: 0...0, opensBlock: true,
            summary: "What each method needs; a method that has no line is refused, unless there is one for `*`; HEAD "
                + "follows GET"),
        read: { statement, settings, _ throws(Diagnostic) in
            settings.ownRequire = settings.ownRequire ?? statement.name
            settings.methods = try MethodPermissions(statement)
        },
        write: { settings in
            settings.methods.map { [WrittenLine([], block: $0.rules.map(\.written))] } ?? []
        })

    fileprivate init(_ statement: Statement) throws(Diagnostic) {
        self.init([], at: statement.position)
        for line in statement.block ?? [] { rules.append(try rule(line)) }
        guard !rules.isEmpty else {
            throw statement.error("\"permissions\" without a line refuses every method", suggestion: "GET read:data;")
        }
        guard rules.count <= Self.maximumRules else {
            throw statement.error("at most \(Self.maximumRules) lines can stand in \"permissions\"")
        }
    }

    private func rule(_ line: Statement) throws(Diagnostic) -> Rule {
        guard !line.arguments.isEmpty, line.block == nil else {
            throw line.error("a line of \"permissions\" is methods and what they need: \"GET,HEAD read:data;\"")
        }
        let methods = try methods(line.name)
        let known = rules.flatMap(\.methods)
        if let twice = methods.first(where: { known.contains($0) }) {
            throw line.name.error("the method \"\(twice)\" has two lines")
        }
        if methods.isEmpty, rules.contains(where: \.methods.isEmpty) { throw line.name.error("\"*\" has two lines") }
        let permissions = try line.arguments.distinct { word throws(Diagnostic) in
            try RequirementReader.name(word, of: .permission)
        }
        return Rule(methods: methods, permissions: permissions, position: line.position)
    }

    private func methods(_ word: Argument) throws(Diagnostic) -> [String] {
        if word.text == "*" { return [] }
        var methods: [String] = []
        for part in word.text.split(separator: ",", omittingEmptySubsequences: false) {
            guard !part.isEmpty, part.utf8.allSatisfy({ (0x41...0x5a).contains($0) || $0 == UInt8(ascii: "-") }) else {
                throw word.error(
                    "\"\(word.shown)\" names no methods: they are in upper case, with commas and no blanks between them",
                    suggestion: "\"*\" stands for every other method")
            }
            guard !methods.contains(String(part)) else { throw word.error("the method \"\(part)\" is said twice") }
            methods.append(String(part))
        }
        return methods
    }
}

extension MethodPermissions.Rule {
    fileprivate var written: [String] {
        [methods.isEmpty ? "*" : methods.joined(separator: ",")] + permissions.map { Syntax.quoted($0) }
    }
}
