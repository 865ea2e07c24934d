// Which arguments came from references, by block and directive, so that no print-out shows them.

package struct ConcealedArguments: Sendable, Equatable {
    private var byBlock: [String: [String: Set<String>]] = [:]
    /// The arguments themselves, of the whole configuration.
    private var texts: Set<String> = []
    /// What is shorter keeps nothing secret, and would be found in the midst of other words.
    private static let shortestSecret = 4

    package init() {}

    /// Remembers the secret arguments of a statement in the block that begins at `place`.
    mutating func add(_ statement: Statement, at place: SourcePosition) {
        // The same text is spelled in two ways, depending on whether the directive knows variables.
        let secrets = statement.allArguments.filter(\.isSecret).flatMap {
            [Syntax.quoted($0.text), Syntax.quoted(Template(text: $0.text))]
        }
        byBlock[place.text, default: [:]][statement.name.text, default: []].formUnion(secrets)
        texts.formUnion(statement.allArguments.filter(\.isSecret).map(\.text))
    }

    /// An inner block begins with what holds in the outer one.
    mutating func inherit(from outer: SourcePosition, to inner: SourcePosition) {
        guard let names = byBlock[outer.text] else { return }
        byBlock[inner.text, default: [:]].merge(names) { $0.union($1) }
    }

    /// The directive is said anew in this block.
    mutating func forget(_ name: String, at place: SourcePosition) { byBlock[place.text]?[name] = nil }

    /// The lines with `***` for what is secret: the arguments known to be, or all of them when they are spelled
    /// otherwise now.
    func hiding(_ lines: [WrittenLine], of name: String, at place: SourcePosition) -> [WrittenLine] {
        guard let secrets = byBlock[place.text]?[name] else { return lines }
        let isFound = lines.flatMap(\.words).contains(where: secrets.contains)
        return lines.map { $0.mapWords { secrets.contains($0) || !isFound ? "\"***\"" : $0 } }
    }

    /// The text with `***` wherever one of the arguments stands in it, the longest ones first.
    package func masking(_ text: String) -> String {
        let secrets = texts.filter { $0.utf8.count >= Self.shortestSecret && text.contains($0) }
        return secrets.sorted { ($0.utf8.count, $0) > ($1.utf8.count, $1) }.reduce(text) {
            $0.replacing($1, with: "***")
        }
    }

    /// How a value was written does not change what it means.
    package static func == (a: ConcealedArguments, b: ConcealedArguments) -> Bool { true }
}
