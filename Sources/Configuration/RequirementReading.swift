// `require …` as text: from words and blocks to a tree, and back.
internal import JSON

/// Where requirements are read: what may stand in the values of their conditions.
struct RequirementReader {
    /// Named captures of the expressions around; nil in a policy, which learns them where it is used.
    var captures: Set<String>?

    /// What a reader can follow, and more than anybody means.
    private static let maximumDepth = 16

    /// What a `require` line says: all of it is needed.
    func line(_ statement: Statement) throws(Diagnostic) -> [Requirement] {
        let first = statement.arguments[0]
        if first.text == "policy" {
            throw first.error("\"require policy\" is written \"require_policy NAME\"")
        }
        return flat(try read(statement.arguments, statement.block, at: statement.position, depth: 0))
    }

    private func flat(_ requirements: [Requirement]) -> [Requirement] {
        requirements.flatMap { requirement in
            if case .all(let parts) = requirement.demand { flat(parts) } else { [requirement] }
        }
    }

    /// A line of a block: one requirement, however many names it has.
    private func item(_ statement: Statement, depth: Int) throws(Diagnostic) -> Requirement {
        if statement.name.text == "require" {
            throw statement.error("inside of a block \"require\" is left out")
        }
        let parts = try read(
            [statement.name] + statement.arguments, statement.block, at: statement.position, depth: depth)
        return parts.count == 1 ? parts[0] : Requirement(.all(parts), at: statement.position)
    }

    private func read(
        _ words: [Argument], _ block: [Statement]?, at position: SourcePosition, depth: Int
    ) throws(Diagnostic) -> [Requirement] {
        let kind = words[0]
        let rest = Array(words.dropFirst())
        switch kind.text {
        case "permission", "scope", "role", "claim", "policy":
            if block != nil {
                throw kind.error("\"\(kind.text)\" takes no block: \";\" is missing, or \"{\" is too much")
            }
            return try leaves(kind, rest, at: position)
        case "any", "all", "not":
            let parts = try parts(kind, rest, block, at: position, depth: depth)
            switch kind.text {
            case "any": return [Requirement(.any(parts), at: position)]
            case "all": return [Requirement(.all(parts), at: position)]
            default: return [Requirement(.none(parts), at: position)]
            }
        default:
            throw kind.error(
                "\"require\" does not know \"\(kind.shown)\"",
                suggestion: Spelling.suggestion(
                    for: kind.text, among: ["permission", "scope", "role", "claim", "any", "all", "not"])
                    ?? "write \"require permission NAME\"")
        }
    }

    /// What follows `any`, `all` and `not`: a block, or names of one kind, or after `not` whatever can be required.
    private func parts(
        _ kind: Argument, _ rest: [Argument], _ block: [Statement]?, at position: SourcePosition, depth: Int
    ) throws(Diagnostic) -> [Requirement] {
        guard depth < Self.maximumDepth else {
            throw kind.error("requirements are nested more than \(Self.maximumDepth) deep")
        }
        guard let first = rest.first else {
            guard let block, !block.isEmpty else {
                throw kind.error("\"\(kind.text)\" is followed by a kind and names, or by a block that is not empty")
            }
            var parts: [Requirement] = []
            for statement in block { parts.append(try item(statement, depth: depth + 1)) }
            return parts
        }
        let takesNames = ["permission", "scope", "role", "policy"].contains(first.text)
        guard takesNames || kind.text == "not" else {
            throw first.error(
                "\"\(kind.text)\" is followed by names of one kind or by a block",
                suggestion: "\"\(kind.text) permission a b\", or \"\(kind.text) { permission a; claim b = c; }\"")
        }
        return try read(rest, block, at: position, depth: depth + 1)
    }

    private func leaves(
        _ kind: Argument, _ rest: [Argument], at position: SourcePosition
    ) throws(Diagnostic) -> [Requirement] {
        guard !rest.isEmpty else {
            let what = kind.text == "claim" ? "a claim and an operator" : "a name"
            throw kind.error("\"\(kind.text)\" takes \(what)")
        }
        if kind.text == "claim" { return [Requirement(.claim(try condition(kind, rest)), at: position)] }
        guard let grant = Requirement.Grant(rawValue: kind.text) else {
            return try rest.distinct { word throws(Diagnostic) in
                Requirement(.policy(word.text, []), at: word.position)
            }
        }
        return try rest.distinct { word throws(Diagnostic) in
            Requirement(.grant(grant, try Self.name(word, of: grant)), at: position)
        }
    }

    /// A name that can be granted.
    static func name(_ word: Argument, of grant: Requirement.Grant) throws(Diagnostic) -> String {
        let name = word.text
        let isText = !name.isEmpty && !name.utf8.contains { $0 < 0x20 || $0 == 0x7f }
        guard grant == .role ? isText : isScopeToken(name) else {
            throw word.error(
                "\"\(word.shown)\" is not a \(grant.rawValue): it may hold no "
                    + (grant == .role
                        ? "control characters" : "blanks, quotes, backslashes or non-ASCII characters"))
        }
        if name.split(separator: ":", omittingEmptySubsequences: false).contains("*") {
            throw word.error("\"\(word.shown)\" is a wildcard: it can be granted, but never required")
        }
        return name
    }

    /// What may stand in the `scope` of a challenge (RFC 6749 section 3.3): a quote there would end it.
    static func isScopeToken(_ name: String) -> Bool {
        !name.isEmpty
            && name.utf8.allSatisfy {
                $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\")
            }
    }
}

// Conditions on claims
extension RequirementReader {
    private func condition(_ kind: Argument, _ rest: [Argument]) throws(Diagnostic) -> ClaimCondition {
        let path = try ClaimPath(rest[0])
        let known = ClaimCondition.Comparison.allCases.map(\.rawValue)
        guard rest.count > 1 else {
            throw kind.error(
                "\"claim \(rest[0].shown)\" needs an operator: one of \(known.joined(separator: " "))",
                suggestion: "\"claim \(rest[0].shown) exists\" asks whether it is there")
        }
        let word = rest[1]
        guard let comparison = ClaimCondition.Comparison(rawValue: word.text) else {
            let glued = known.filter { !$0.allSatisfy(\.isLetter) }.sorted { $0.utf8.count > $1.utf8.count }
                .first { word.text.hasPrefix($0) }
            throw word.error(
                "unknown operator \"\(word.shown)\": there are \(known.joined(separator: " "))",
                suggestion: word.text == "=="
                    ? "did you mean \"=\"?"
                    : glued.map { "write a blank behind \"\($0)\"" }
                        ?? Spelling.suggestion(for: word.text, among: known))
        }
        let values = rest.dropFirst(2)
        guard comparison.arity.contains(values.count) else {
            let wanted = comparison.arity == 0...0 ? "no value" : comparison == .isIn ? "1 to 64 values" : "one value"
            throw word.error(
                "\"\(word.text)\" takes \(wanted), not \(values.count)",
                suggestion: comparison == .equals && values.count > 1 ? "\"in\" takes several" : nil)
        }
        var templates: [Template] = []
        for value in values { templates.append(try self.value(value, comparison)) }
        return ClaimCondition(path, comparison, templates)
    }

    private func value(
        _ word: Argument, _ comparison: ClaimCondition.Comparison
    ) throws(Diagnostic) -> Template {
        let template = try Template.parse(word, at: .request, captures: captures)
        for case .variable(let variable) in template.pieces where !variable.mayDecide {
            throw word.error(
                "\"$\(variable.name)\" cannot be compared with a claim",
                suggestion:
                    "there are $host, $request_method, $remote_addr, $http_NAME and named groups of the expression")
        }
        if comparison.takesNumber, template.variables.isEmpty, !Self.isNumber(word.text) {
            throw word.error("\"\(word.shown)\" is not a number: \"\(comparison.rawValue)\" compares numbers")
        }
        return template
    }

    /// As JSON writes one.
    private static func isNumber(_ text: String) -> Bool {
        var reader = JSONReader(depth: 1, members: 1)
        let document = Array(text.utf8)
        reader.begin()
        guard let value = try? reader.next(document.span), value.kind == .number, value.range.count == document.count
        else {
            return false
        }
        return (try? reader.next(document.span))?.kind == .end
    }
}

extension Template {
    var variables: [Variable] {
        pieces.compactMap { if case .variable(let variable) = $0 { variable } else { nil } }
    }
}

extension Variable {
    /// What a rule may look at: it is known before a request is forwarded, and every server finds the same in the request.
    var mayDecide: Bool {
        switch self {
        case .capture, .host, .requestMethod, .requestField, .remoteAddress: true
        default: false
        }
    }
}

// Back to text
extension Requirement {
    /// As a line: words, and a block where there is no shorter way.
    var written: WrittenLine {
        switch demand {
        case .grant(let grant, let name): WrittenLine([grant.rawValue, Syntax.quoted(name)])
        case .claim(let condition): WrittenLine(condition.written)
        case .policy(let name, _): WrittenLine(["policy", Syntax.quoted(name)])
        case .all(let parts): Self.written("all", parts)
        case .any(let parts): Self.written("any", parts)
        case .none(let parts): Self.written("not", parts)
        }
    }

    /// The same for messages, on one line.
    package var text: String {
        switch demand {
        case .grant, .claim, .policy: written.arguments.joined(separator: " ")
        case .all(let parts): "all of (" + parts.map(\.text).joined(separator: ", ") + ")"
        case .any(let parts): "any of (" + parts.map(\.text).joined(separator: ", ") + ")"
        case .none(let parts): "none of (" + parts.map(\.text).joined(separator: ", ") + ")"
        }
    }

    private static func written(_ word: String, _ parts: [Requirement]) -> WrittenLine {
        let lines = parts.map(\.written)
        let kinds = Set(parts.map(\.kindOfName))
        if let kind = kinds.first, let kind, kinds.count == 1 {
            return WrittenLine([word, kind] + lines.flatMap { $0.arguments.dropFirst() })
        }
        return WrittenLine([word], lines: lines)
    }

    /// Of what is a name: its kind.
    private var kindOfName: String? {
        switch demand {
        case .grant(let grant, _): grant.rawValue
        case .policy: "policy"
        default: nil
        }
    }
}

extension ClaimCondition {
    fileprivate var written: [String] {
        ["claim", path.written, comparison.rawValue] + values.map { Syntax.quoted($0) }
    }
}
