// Tokens to statements, files included: the grammar and nothing of the meaning.

/// Everything that reading the files of one configuration yields.
struct ParsedFiles {
    var statements: [Statement] = []
    var diagnostics: [Diagnostic] = []
    /// Lines by the name of the file, for messages.
    var lines: [String: [String]] = [:]
    /// Files in the order in which they were met, for the order of messages.
    var order: [String] = []
    /// Braces do not match: what stands where is a guess, so only the grammar is reported.
    var isUnbalanced = false
}

struct Parser {
    /// Files that include each other deeper than this do so by mistake.
    static let maximumIncludeDepth = 16
    /// Blocks in blocks; the deepest sensible configuration needs six, and each costs a frame of the stack.
    static let maximumBlockDepth = 32
    /// A configuration of this size would be generated, and by mistake.
    static let maximumFileBytes = 4 * 1024 * 1024

    /// More mistakes of grammar than are ever shown: this is no configuration.
    static let maximumMistakes = 100

    let references: References
    private(set) var files = ParsedFiles()
    /// Paths of the files that are being read, the outermost first.
    private var stack: [String] = []
    /// Blocks that are open: the statement that opened each, and how many files deep.
    private var open: [(name: Argument, file: Int)] = []
    /// Reading has ended early: nobody wrote this by hand.
    private var hasGivenUp = false
    /// The first `}` that begins a line in another column than the statement it closes.
    private var misfit: (brace: SourcePosition, closed: Argument)?

    init(references: References) { self.references = references }

    mutating func parse(text: String, file: String) {
        files.statements += statements(of: text, file: file)
    }

    private mutating func statements(of text: String, file: String) -> [Statement] {
        if files.lines[file] == nil {
            files.order.append(file)
            files.lines[file] = text.split(separator: "\n", omittingEmptySubsequences: false).map {
                $0.hasSuffix("\r") ? String($0.dropLast()) : String($0)
            }
        }
        stack.append(file)
        var lexer = Lexer(text: text, file: file, references: references)
        let found = statements(&lexer)
        files.diagnostics += lexer.diagnostics
        stack.removeLast()
        return found
    }

    /// Statements up to the end of the file or the `}` of the innermost open block, which is consumed.
    private mutating func statements(_ lexer: inout Lexer) -> [Statement] {
        var found: [Statement] = []
        var words: [Argument] = []
        while !hasGivenUp {
            if files.diagnostics.count + lexer.diagnostics.count >= Self.maximumMistakes { giveUp() }
            switch lexer.next() {
            case .word(let word): words.append(word)
            case .semicolon(let position):
                finish(&words, at: position, into: &found)
            case .open(let position):
                openBlock(&words, at: position, &lexer, into: &found)
            case .close(let position):
                endUnfinished(&words, before: "\"}\"", into: &found)
                if closeBlock(at: position) { return found }
            case .end(let position):
                endUnfinished(&words, before: "the end of the file", into: &found)
                reportOpenBlocks(at: position)
                return found
            }
        }
        return found
    }

    private mutating func giveUp() {
        files.isUnbalanced = true
        hasGivenUp = true
    }

    private mutating func finish(_ words: inout [Argument], at position: SourcePosition, into found: inout [Statement])
    {
        defer { words = [] }
        guard let name = words.first else {
            files.diagnostics.append(Diagnostic(at: position, "unexpected \";\": there is nothing before it"))
            return
        }
        let statement = Statement(name: name, arguments: Array(words.dropFirst()), block: nil)
        if !name.isQuoted, name.text == "include" || name.text == "include?" {
            found += include(statement)
        } else {
            found.append(statement)
        }
    }

    private mutating func endUnfinished(_ words: inout [Argument], before end: String, into found: inout [Statement]) {
        guard let name = words.first, let last = words.last else { return }
        var place = last.position
        place.column += last.length
        files.diagnostics.append(
            Diagnostic(
                at: place,
                "\";\" is missing before \(end): \"\(name.shown)\" of line \(name.position.line) goes on until here"))
        finish(&words, at: place, into: &found)
    }

    private mutating func openBlock(
        _ words: inout [Argument], at position: SourcePosition, _ lexer: inout Lexer, into found: inout [Statement]
    ) {
        if words.isEmpty {
            files.diagnostics.append(Diagnostic(at: position, "unexpected \"{\": a block needs a name before it"))
            words = [Argument("{", position: position)]
        }
        let name = words[0]
        let arguments = Array(words.dropFirst())
        words = []
        guard open.count < Self.maximumBlockDepth else {
            files.diagnostics.append(name.error("blocks are nested deeper than \(Self.maximumBlockDepth)"))
            giveUp()
            return
        }
        open.append((name, stack.count))
        let block = statements(&lexer)
        if name.text != "{" { found.append(Statement(name: name, arguments: arguments, block: block)) }
    }

    /// False when there was no block to close.
    private mutating func closeBlock(at position: SourcePosition) -> Bool {
        guard let (name, file) = open.last, file == stack.count else {
            files.diagnostics.append(Diagnostic(at: position, "unexpected \"}\": no block is open here"))
            files.isUnbalanced = true
            return false
        }
        open.removeLast()
        let line = files.lines[position.file]?[position.line - 1] ?? ""
        let isFirst = line.unicodeScalars.prefix(position.column - 1).allSatisfy { $0 == " " || $0 == "\t" }
        if misfit == nil, isFirst, name.startsLine, name.position.column != position.column {
            misfit = (position, name)
        }
        return true
    }

    /// At the end of a file: all blocks that it opened must be closed. Each level of the recursion sees the end once.
    private mutating func reportOpenBlocks(at end: SourcePosition) {
        guard let (name, file) = open.last, file == stack.count else { return }
        open.removeLast()
        files.isUnbalanced = true
        // One missing brace leaves all outer blocks open too; the innermost one says it for all.
        let isSaid = files.diagnostics.contains { $0.message.hasPrefix(Self.unclosed) && $0.position.file == end.file }
        if isSaid { return }
        var suggestion: String?
        if let misfit, misfit.brace.file == end.file {
            suggestion =
                "the \"}\" in line \(misfit.brace.line) closes \"\(misfit.closed.shown)\" of line "
                + "\(misfit.closed.position.line), but stands in another column: look there"
        }
        files.diagnostics.append(
            name.error("\(Self.unclosed)\"\(name.shown) {\" that opens here", suggestion: suggestion))
    }
    private static let unclosed = "\"}\" is missing for the block "
}

extension Parser {
    /// `include PATTERN;`: the statements of every file that matches, in the place of the statement.
    private mutating func include(_ statement: Statement) -> [Statement] {
        guard statement.arguments.count == 1, let pattern = statement.arguments.first else {
            files.diagnostics.append(statement.error("\"include\" takes one argument: a path or a pattern"))
            return []
        }
        guard stack.count <= Self.maximumIncludeDepth else {
            files.diagnostics.append(
                statement.error("files include each other deeper than \(Self.maximumIncludeDepth)"))
            return []
        }
        let mayBeAbsent = statement.name.text == "include?"
        let paths = SourceFile.matches(pattern.text.joined(to: stack.last?.parentFolder ?? ""))
        if paths.isEmpty, !mayBeAbsent {
            files.diagnostics.append(
                pattern.error(
                    "no file matches \"\(pattern.shown)\"", suggestion: "\"include?\" allows that there is none"))
        }
        return paths.flatMap { include(path: $0, pattern, mayBeAbsent: mayBeAbsent) }
    }

    private mutating func include(path: String, _ pattern: Argument, mayBeAbsent: Bool) -> [Statement] {
        let shown = pattern.isSecret ? "***" : path
        guard !stack.contains(path) else {
            files.diagnostics.append(pattern.error("\"\(shown)\" includes itself"))
            return []
        }
        do throws(FileError) {
            let bytes = try SourceFile.read(path, maximumBytes: Self.maximumFileBytes)
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw FileError(reason: "it is not text in UTF-8")
            }
            return statements(of: text, file: path)
        } catch {
            if mayBeAbsent, error.reason == FileError.absent { return [] }
            files.diagnostics.append(pattern.error("\"\(shown)\" cannot be read: \(error.reason)"))
            return []
        }
    }
}
