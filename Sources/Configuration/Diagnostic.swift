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
