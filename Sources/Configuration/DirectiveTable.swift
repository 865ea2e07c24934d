// The table: every directive there is, gathered from the rows of each subject. Nothing else lists them.

/// A directive as the reference shows it.
package struct DirectiveDescription: Sendable {
    package var name: String
    /// Names of the blocks where it may stand; `main` is the file itself.
    package var blocks: [String]
    package var form: String
    /// What holds when it is not said, as one would write it; nil: nothing.
    package var defaultValue: String?
    /// One sentence without a full stop.
    package var summary: String
    package var repeats: Bool
}

package enum DirectiveTable {
    /// What belongs to the grammar and may stand anywhere or around everything.
    private static let grammar: [DirectiveRow] = [
        DirectiveRow(
            name: "include", blocks: BlockKind.allCases, form: "PATTERN", arity: 1...1, repeats: true,
            summary:
                "The statements of other files, sorted by name, relative to this one; `include?` allows that "
                + "there is none"
        ),
        DirectiveRow(
            name: "http", blocks: [.main], form: "{ … }", arity: 0...0, repeats: true, opensBlock: true,
            summary: "nginx's wrapper: what is inside counts as if it stood alone"),
        DirectiveRow(
            name: "events", blocks: [.main], form: "{ … }", arity: 0...0, repeats: true, opensBlock: true,
            summary: "nginx's wrapper: what is inside counts as if it stood alone"),
    ]

    static let rows: [DirectiveRow] = entries.map(\.row)

    /// Every directive, in the order of the reference.
    package static let descriptions: [DirectiveDescription] = entries.map { row, defaultValue in
        DirectiveDescription(
            name: row.name, blocks: row.blocks.map(\.rawValue), form: row.form, defaultValue: defaultValue,
            summary: row.summary, repeats: row.repeats)
    }

    /// Each row once, though rows of settings occur in several blocks, with its default.
    private static let entries: [(row: DirectiveRow, defaultValue: String?)] = {
        let nowhere = SourcePosition(file: "", line: 1, column: 1)
        var seen: Set<String> = []
        let all =
            grammar.map { ($0, nil) } + described(MainSettings.rows, MainSettings())
            + described(AdminDraft.rows, AdminDraft())
            + ProviderKind.allCases.flatMap { kind in
                described(
                    ProviderDraft.rows(of: kind), ProviderDraft(AuthProvider(name: "", kind: kind, position: nowhere)))
            }
            + described(RevocationDraft.rows, RevocationDraft(Revocation(name: "", position: nowhere)))
            + described(Upstream.rows, Upstream(name: "", position: nowhere))
            + described(ServerDraft.rows, ServerDraft(position: nowhere))
            + described(CrossOriginRules.rows, CrossOriginRules())
            + described(IdentityTokenDraft.rows, IdentityTokenDraft())
            + described(
                LocationDraft.rows, LocationDraft(match: .fallback, label: "", scope: RouteScope(position: nowhere)))
        return all.filter { seen.insert("\($0.0.name) \($0.0.blocks)").inserted }
    }()

    private static func described<Block>(
        _ rows: [Directive<Block>], _ initial: Block
    ) -> [(row: DirectiveRow, defaultValue: String?)] {
        rows.map { directive in
            let lines = directive.write(initial).map(\.text)
            // A required value has no default, and a block shows its own.
            return (directive.row, lines.isEmpty || isRequired(directive.row) ? nil : lines.joined(separator: "; "))
        }
    }

    private static func isRequired(_ row: DirectiveRow) -> Bool {
        row.blocks == [.authProvider] && (row.name == "issuer" || row.name == "audience")
    }
}

extension DirectiveTable {
    /// The reference page in Markdown, or only the part about `name`; nil when no directive is called so.
    package static func reference(_ name: String? = nil) -> String? {
        let chosen = descriptions.filter { name == nil || $0.name == name }
        guard !chosen.isEmpty else { return nil }
        let sections = chosen.map(section).joined(separator: "\n")
        return name == nil ? preamble + "\n" + sections : sections
    }

    private static func section(_ directive: DirectiveDescription) -> String {
        let end = directive.form.contains("{") ? "" : ";"
        let defaultLine =
            directive.defaultValue.map { "`\(directive.name) \($0)\($0.hasSuffix("}") ? "" : ";")`" } ?? "none"
        let blocks = directive.blocks.map { "`\($0)`" }.joined(separator: ", ")
        return """
            ### `\(directive.name)` in \(blocks)

            \(directive.summary).

            - Syntax: `\(directive.name) \(directive.form)\(end)`\(directive.repeats ? " (may be said several times)" : "")
            - Default: \(defaultLine)

            """
    }

    private static let preamble = """
        # Configuration reference

        Written from the directive table by `gateway directives`; do not edit by hand.

        ## The file

        - UTF-8 text. `name arguments… ;` or `name arguments… { … }`; `#` begins a comment.
        - Words are bare, `"…"` (with `\\n \\t \\r \\" \\\\ \\u{…}`; any other backslash stays) or `'…'` (taken as it is).
        - Times: `250ms 5s 10m 24h 7d`, sums like `1h30m`. Sizes: `512 8k 10m 1g`.
        - `${env:NAME}`, `${env:NAME:-default}` and `${file:PATH}` are replaced once, when the file is read, and give one
          argument, never syntax. Their values are secret: every print-out shows `***`. `'…'` is not looked into.
        - `$name` and `${name}` are run-time variables, where the directive knows such; `\\u{24}` is a dollar sign.
        - `include` is relative to the file in which it stands. Every other relative path is relative to the folder of
          the configuration file that the gateway was started with.
        - Inheritance as in nginx: `main` → `server` → `location` → nested `location`. A directive that may be said several
          times replaces, in an inner block, all that the outer block said.
        - A prefix without a trailing slash is matched by whole segments: `/api` matches `/api` and `/api/x`, never `/apix`.
        - Every location inherits or says `auth`. In one with `auth off`, what is inherited of permissions demands nothing.

        ## Variables


        """ + variableList + "\n\n## Directives\n"

    private static var variableList: String {
        let fixed = Variable.named.map { "`$\($0.name)`" }.joined(separator: " ")
        return fixed + " `$http_NAME` `$cookie_NAME` `$jwt_claim_NAME`"
    }
}
