// A row of the directive table: everything there is to know about one directive, once.

/// Where a directive may stand.
enum BlockKind: String, Sendable, CaseIterable {
    case main, server, location, upstream, authProvider = "auth_provider", admin, identityHeaders = "identity_headers"
    case cors, policy, revocation, identityToken = "identity_token"
    case apiKeyProvider = "auth_provider api_key", introspectionProvider = "auth_provider introspection"
    case requestProvider = "auth_provider request", certificateProvider = "auth_provider client_certificate"

    /// For messages: `in location`, `at the top level`.
    var place: String { self == .main ? "at the top level" : "in \(rawValue)" }
}

/// One line that says a directive: its arguments in the syntax of the file, and for a block the lines inside.
struct WrittenLine: Sendable, Equatable {
    var arguments: [String]
    var lines: [WrittenLine]?

    init(_ arguments: [String], lines: [WrittenLine]? = nil) {
        self.arguments = arguments
        self.lines = lines
    }
    init(_ arguments: [String], block: [[String]]) {
        self.init(arguments, lines: block.map { WrittenLine($0) })
    }

    /// All words, those of the lines inside too.
    var words: [String] { arguments + (lines ?? []).flatMap(\.words) }
    /// In the syntax of the file, without the `;` behind it.
    var text: String {
        let block = lines.map { "{ " + $0.map { $0.text + ($0.lines == nil ? "; " : " ") }.joined() + "}" }
        return (arguments + (block.map { [$0] } ?? [])).joined(separator: " ")
    }

    func mapWords(_ transform: (String) -> String) -> WrittenLine {
        WrittenLine(arguments.map(transform), lines: lines?.map { $0.mapWords(transform) })
    }
}

/// The parts of a row that do not depend on what it changes.
package struct DirectiveRow: Sendable {
    package var name: String
    var blocks: [BlockKind]
    /// The arguments as the reference shows them, bounds included.
    package var form: String
    var arity: ClosedRange<Int>
    /// May be said several times in one block; in an inner block it then replaces all that the outer one said.
    package var repeats = false
    package var opensBlock = false
    /// May end in a block or in `;`.
    var mayOpenBlock = false
    /// One sentence without a full stop.
    package var summary: String
}

/// A row. `Block` is the value that the directive changes.
struct Directive<Block>: Sendable {
    var row: DirectiveRow
    /// For a list: forgets what was inherited; called before the first one in a block.
    var clear: (@Sendable (inout Block) -> Void)?
    var read: @Sendable (Statement, inout Block, inout ConfigurationReader) throws(Diagnostic) -> Void
    /// The lines that say what the block holds; none when it is only ever read as part of something else.
    var write: @Sendable (Block) -> [WrittenLine]

    /// A row for a value with a fixed spelling, kept in one field.
    static func setting<Value>(
        _ name: String, in blocks: [BlockKind], _ codec: Codec<Value>,
        _ field: any WritableKeyPath<Block, Value> & Sendable, _ summary: String
    ) -> Directive {
        Directive(
            row: DirectiveRow(name: name, blocks: blocks, form: codec.form, arity: codec.arity, summary: summary),
            read: { statement, block, _ throws(Diagnostic) in
                block[keyPath: field] = try codec.parse(statement.arguments)
            },
            write: { [WrittenLine(codec.print($0[keyPath: field]))] })
    }

    /// The same row for a value that contains this one's.
    func lifted<Outer>(_ field: any WritableKeyPath<Outer, Block> & Sendable) -> Directive<Outer> {
        let (clear, read, write) = (clear, read, write)
        var lifted = Directive<Outer>(
            row: row,
            read: { statement, outer, reader throws(Diagnostic) in
                try read(statement, &outer[keyPath: field], &reader)
            },
            write: { write($0[keyPath: field]) })
        if let clear { lifted.clear = { clear(&$0[keyPath: field]) } }
        return lifted
    }
}
