// What the grammar yields before anything has a meaning: words, and statements made of them.

/// One word of the file, with its references already replaced.
struct Argument: Sendable {
    enum Piece: Sendable, Equatable {
        /// Stands in the file as it is; `$` begins a run-time variable where the directive knows such.
        case written(String)
        /// Came from a reference or a `\u{…}`: never syntax, so a `$` in it is a dollar sign.
        case literal(String)
    }
    var pieces: [Piece] = []
    var position: SourcePosition
    /// Characters that the word takes up in the file.
    var length = 0
    var isQuoted = false
    /// It contains the value of a reference, which is shown to nobody.
    var isSecret = false
    /// Whose content it begins with; nil: of no file.
    private(set) var firstFile: String?
    /// It could not be read, which is already said.
    var isFaulty = false
    /// It is the first thing on its line: a directive's name there betrays a forgotten `;`.
    var startsLine = false

    init(position: SourcePosition) { self.position = position }

    /// A word as if it had been written without quotes, for settings that are computed rather than read.
    init(_ text: String, position: SourcePosition) {
        self.position = position
        length = text.unicodeScalars.count
        pieces = [.written(text)]
    }

    var text: String {
        pieces.reduce(into: "") { text, piece in
            switch piece {
            case .written(let part), .literal(let part): text += part
            }
        }
    }
    /// The file whose content it is, and nothing else.
    var file: String? { pieces.count == 1 ? firstFile : nil }
    /// The value of a reference follows what was read so far.
    mutating func append(secret text: String, file: String?) {
        if pieces.isEmpty { firstFile = file }
        pieces.append(.literal(text))
        isSecret = true
    }
    /// For messages: the text, or `***`.
    var shown: String { isSecret ? "***" : text }

    /// An error whose carets stand under this word.
    func error(_ message: String, suggestion: String? = nil) -> Diagnostic {
        Diagnostic(at: position, message, suggestion: suggestion, length: max(1, length))
    }

    /// `key=value` without the key, or nil when the word does not begin with `key=`.
    func value(of key: String) -> Argument? {
        let prefix = key + "="
        guard case .written(let first)? = pieces.first, first.hasPrefix(prefix) else { return nil }
        var value = self
        value.pieces[0] = .written(String(first.dropFirst(prefix.count)))
        value.position.column += prefix.count
        value.length -= prefix.count
        return value
    }
}

/// `name arguments… ;` or `name arguments… { … }`
struct Statement: Sendable {
    var name: Argument
    var arguments: [Argument]
    /// Nil when the statement ended in `;`.
    var block: [Statement]?

    var position: SourcePosition { name.position }
    /// Every argument, those of inner statements too.
    var allArguments: [Argument] { arguments + (block ?? []).flatMap(\.allArguments) }
    var isSecret: Bool { allArguments.contains(where: \.isSecret) }
    var isFaulty: Bool { name.isFaulty || arguments.contains(where: \.isFaulty) }
    func error(_ message: String, suggestion: String? = nil) -> Diagnostic {
        name.error(message, suggestion: suggestion)
    }
}
