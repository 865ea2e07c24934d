// Where each directive was said, by the block it stands in: for answers that name the line which demanded something.

package struct StatementPlaces: Sendable, Equatable {
    private var byBlock: [String: [String: [SourcePosition]]] = [:]
    private var outer: [String: String] = [:]

    package init() {}

    /// Remembers a statement of the block that begins at `place`.
    mutating func add(_ statement: Statement, at place: SourcePosition) {
        byBlock[place.text, default: [:]][statement.name.text, default: []].append(statement.position)
    }
    /// The block that begins at `inner` takes over what it does not say itself.
    mutating func nest(_ inner: SourcePosition, in place: SourcePosition) {
        if inner.text != place.text { outer[inner.text] = place.text }
    }

    /// Where what holds in the block that begins at `place` was said: there, or in the nearest block around it that says it.
    /// Empty when nobody does, and the default holds.
    package func places(of name: String, at place: SourcePosition) -> [SourcePosition] {
        var block: String? = place.text
        while let current = block {
            if let found = byBlock[current]?[name] { return found }
            block = outer[current]
        }
        return []
    }

    /// Where a value was said does not change what it means.
    package static func == (a: StatementPlaces, b: StatementPlaces) -> Bool { true }
}
