// Words of the field, and calls that have no place in a gateway.
import Testing

struct NameTests {
    private static var declaration: Regex<(Substring, Substring)> {
        /\b(?:struct|class|enum|actor|protocol|extension|typealias)\s+([A-Z]\w*)/
    }

    @Test(arguments: SourceTree.gateway)
    func `no type is named by an empty word`(file: SourceFile) {
        let declaration = Self.declaration
        for (number, line) in file.code.enumerated() {
            for found in line.matches(of: declaration) {
                let name = String(found.1)
                let words = name.matches(of: /[A-Z]+(?![a-z])|[A-Z][a-z]+|\d+/).map { String($0.0) }
                let banned = Rules.bannedNames.filter { word in words.contains { $0 == word || $0 == word + "s" } }
                #expect(
                    banned.isEmpty || Rules.allowedNames.contains(name),
                    "\(file.path):\(number + 1): \(name): say what it is instead of \(banned)")
            }
        }
    }

    @Test(arguments: SourceTree.gateway)
    func `a file is named after what it declares or extends`(file: SourceFile) {
        let stem = file.path.split(separator: "/").last!.dropLast(".swift".count)
        let name = stem.split(separator: "+").first.map(String.init) ?? ""
        guard name != "main" else { return }
        let banned = Rules.bannedNames.filter { name.hasSuffix($0) }
        #expect(banned.isEmpty || Rules.allowedNames.contains(name), "\(file.path)")
    }

    @Test(arguments: SourceTree.gateway)
    func `calls that have a better form are not made`(file: SourceFile) {
        if Rules.allowedCalls.keys.contains(where: { file.path.hasPrefix($0) }) { return }
        for (pattern, instead) in Rules.bannedCalls {
            let lines = file.codeLines(matching: pattern)
            #expect(lines.isEmpty, "\(file.path):\(lines.first ?? 0): use \(instead)")
        }
    }

    @Test(arguments: SourceTree.libraries.filter { $0.target == "Policy" })
    func `policy knows no version of HTTP`(file: SourceFile) {
        #expect(file.codeLines(matching: /[Hh][Tt][Tt][Pp][12]\b|http_[12]|\bh2c?\b/).isEmpty, "\(file.path)")
    }
}
