// One thing to say about a configuration file.

/// A message about a place in a configuration, for a person.
package struct Diagnostic: Error, Sendable, Equatable {
    package enum Severity: Sendable { case error, note }
    package var severity: Severity
    package var position: SourcePosition
    /// What is wrong, in one sentence without a full stop.
    package var message: String
    /// What to write instead: `did you mean "require"?`
    package var suggestion: String?
    /// The line of the file, and how many characters from the column on are meant.
    package var sourceLine: String
    package var length: Int

    package init(
        _ severity: Severity = .error, at position: SourcePosition, _ message: String, suggestion: String? = nil,
        sourceLine: String = "", length: Int = 1
    ) {
        self.severity = severity
        self.position = position
        self.message = message
        self.suggestion = suggestion
        self.sourceLine = sourceLine
        self.length = length
    }
}

extension Diagnostic {
    /// `file:line:column: error: …`, the source line, and carets under what is meant with the suggestion behind them.
    package var rendered: String {
        let head = "\(position.text): \(severity == .error ? "error" : "note"): \(message)"
        guard !sourceLine.isEmpty else {
            return suggestion.map { "\(head) (\($0))" } ?? head
        }
        let number = String(position.line)
        let margin = String(repeating: " ", count: max(0, 5 - number.utf8.count))
        let before = sourceLine.unicodeScalars.prefix(position.column - 1)
        // Tabs stay tabs, so that the carets stand right whatever their width.
        let indent = String(before.map { $0 == "\t" ? "\t" : " " })
        let room = max(1, sourceLine.unicodeScalars.count - before.count)
        let carets = String(repeating: "^", count: min(max(1, length), room))
        let tail = suggestion.map { " \($0)" } ?? ""
        let blank = String(repeating: " ", count: max(5, number.utf8.count))
        return "\(head)\n\(margin)\(number) | \(sourceLine)\n\(blank) | \(indent)\(carets)\(tail)"
    }

    /// The same with its source line, for a diagnostic made after the files were read; unchanged when the file is gone.
    package func locatingSource() -> Diagnostic {
        guard sourceLine.isEmpty,
            let bytes = try? SourceFile.read(position.file, maximumBytes: Parser.maximumFileBytes)
        else { return self }
        var located = self
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        if lines.indices.contains(position.line - 1) { located.sourceLine = String(lines[position.line - 1]) }
        return located
    }
}
