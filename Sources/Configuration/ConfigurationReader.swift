// Statements to values by the rows of the table: what is common to all blocks, and every complaint about a statement
// as such.

/// One reading of a configuration: what was found so far, and what is to be said about it.
struct ConfigurationReader {
    let references: References
    /// Relative paths that directives name begin here.
    var folder: String { references.folder }
    private(set) var diagnostics: [Diagnostic] = []
    /// Notes left out.
    var errorCount: Int { unreadLines + diagnostics.count { $0.severity == .error } }
    /// Lines with words that could not be read, which was said before: what they would have set is not missing.
    private var unreadLines = 0
    private var said: Set<String> = []
    var configuration = GatewayConfiguration()
    /// Text of directives that must not be shown, by the block they are in.
    var concealed = ConcealedArguments()
    /// Where each directive was said.
    var places = StatementPlaces()
    /// `log_format` by name.
    var logFormats = [NamedFormat.main]
    /// Indices of what some location refers to.
    var usedUpstreams: Set<Int> = []
    var usedProviders: Set<Int> = []
    var usedPolicies: Set<String> = []
    var usedRevocations: Set<Int> = []

    /// Where `default_server` was said, by index of the listener.
    var saidDefault: [Int: SourcePosition] = [:]
    /// Stands for the file as a whole.
    let mainPosition: SourcePosition

    init(references: References, file: String) {
        self.references = references
        mainPosition = SourcePosition(file: file, line: 1, column: 1)
    }

    /// So many mistakes that the first ones, which alone are shown, are surely among them.
    private var isHopeless: Bool { diagnostics.count >= 1000 }

    /// Says a thing once, however many locations inherit its cause.
    mutating func report(_ diagnostic: Diagnostic) {
        guard !isHopeless else { return }
        let isNew = said.insert("\(diagnostic.position.text) \(diagnostic.message)").inserted
        if isNew { diagnostics.append(diagnostic) }
    }

    /// Reads the statements of one block into `block`: values in the order of the rows, then inner blocks in the same
    /// way,
    /// so that what is inherited or referred to is known whatever the order in the file.
    mutating func read<Block>(
        _ statements: [Statement], in kind: BlockKind, at place: SourcePosition, rows: [Directive<Block>],
        into block: inout Block
    ) {
        let names = Set(rows.map(\.row.name))
        var first: [String: SourcePosition] = [:]
        var accepted: [(row: Int, statement: Statement)] = []
        for statement in isHopeless ? [] : splitWhereSemicolonsAreMissing(statements, names) {
            let name = statement.name.text
            guard let index = rows.firstIndex(where: { $0.row.name == name }) else {
                reportUnknown(statement, in: kind, known: rows.map(\.row.name))
                continue
            }
            let row = rows[index].row
            if !row.repeats, let earlier = first[name] {
                report(statement.error("duplicate directive \"\(name)\": the first one is at \(earlier.text)"))
                continue
            }
            first[name] = first[name] ?? statement.position
            if let complaint = complaint(about: statement, row) {
                report(complaint)
            } else if statement.isFaulty {
                unreadLines += 1
            } else {
                accepted.append((index, statement))
            }
        }
        let ordered = accepted.enumerated().sorted { ($0.element.row, $0.offset) < ($1.element.row, $1.offset) }
        apply(ordered.map(\.element), rows, at: place, to: &block)
    }

    private mutating func apply<Block>(
        _ accepted: [(row: Int, statement: Statement)], _ rows: [Directive<Block>], at place: SourcePosition,
        to block: inout Block
    ) {
        var previous: Int?
        for (index, statement) in accepted {
            if index != previous {
                rows[index].clear?(&block)
                concealed.forget(rows[index].row.name, at: place)
            }
            previous = index
            places.add(statement, at: place)
            if statement.isSecret { concealed.add(statement, at: place) }
            do throws(Diagnostic) {
                try rows[index].read(statement, &block, &self)
            } catch {
                report(error)
            }
        }
    }

    /// What is wrong with the shape of a statement, if anything.
    private func complaint(about statement: Statement, _ row: DirectiveRow) -> Diagnostic? {
        let name = row.name
        if row.opensBlock, statement.block == nil {
            return statement.error("\"\(name)\" needs a block: \"{ … }\" instead of \";\"")
        }
        if !row.opensBlock, !row.mayOpenBlock, statement.block != nil {
            return statement.error("\"\(name)\" takes no block: \";\" is missing, or \"{\" is too much")
        }
        let count = statement.arguments.count
        if row.arity.contains(count) { return nil }
        let wanted: String
        switch (row.arity.lowerBound, row.arity.upperBound) {
        case (0, 0): wanted = "no argument"
        case (1, 1): wanted = "one argument"
        case (let low, let high) where low == high: wanted = "\(low) arguments"
        case (let low, .max): wanted = low == 1 ? "one or more arguments" : "\(low) or more arguments"
        case (let low, let high): wanted = "\(low) to \(high) arguments"
        }
        let culprit = count > row.arity.upperBound ? statement.arguments[row.arity.upperBound] : statement.name
        return culprit.error("\"\(name)\" takes \(wanted), not \(count)", suggestion: "\(name) \(row.form)")
    }

    /// A word that begins a line and is the name of a directive that may stand here is one: the `;` before it is
    /// missing.
    private mutating func splitWhereSemicolonsAreMissing(_ statements: [Statement], _ names: Set<String>) -> [Statement]
    {
        var result: [Statement] = []
        for statement in statements {
            var rest = statement
            while let index = rest.arguments.firstIndex(where: {
                $0.startsLine && !$0.isQuoted && names.contains($0.text)
            }) {
                let word = rest.arguments[index]
                let last = index == 0 ? rest.name : rest.arguments[index - 1]
                var end = last.position
                end.column += last.length
                report(
                    Diagnostic(
                        at: end,
                        "\";\" is missing after \"\(rest.name.shown)\": \"\(word.text)\" in line "
                            + "\(word.position.line) begins another directive",
                        suggestion: "quote the word if it is an argument"))
                result.append(Statement(name: rest.name, arguments: Array(rest.arguments[..<index]), block: nil))
                rest = Statement(name: word, arguments: Array(rest.arguments[(index + 1)...]), block: rest.block)
            }
            result.append(rest)
        }
        return result
    }

    private mutating func reportUnknown(_ statement: Statement, in kind: BlockKind, known: [String]) {
        if isHopeless { return }
        let name = statement.name.text
        let elsewhere = DirectiveTable.rows.filter { $0.name == name }.flatMap(\.blocks)
        if !elsewhere.isEmpty {
            let places = elsewhere.map { $0 == .main ? "the top level" : $0.rawValue }.joined(separator: ", ")
            report(statement.error("\"\(name)\" cannot stand \(kind.place)", suggestion: "it belongs in: \(places)"))
        } else if let sentence = UnsupportedDirectives.sentence(for: name) {
            report(statement.error(sentence))
        } else {
            let all = known + DirectiveTable.rows.map(\.name)
            report(
                statement.error(
                    "unknown directive \"\(statement.name.shown)\" \(kind.place)",
                    suggestion: Spelling.suggestion(for: name, among: all)))
        }
    }
}
