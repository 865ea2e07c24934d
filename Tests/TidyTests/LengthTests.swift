// Files and functions stay short enough to be read at once.
import Testing

struct LengthTests {
    /// A declaration with a body, its first line and how many lines it has.
    struct Function {
        let name: String, line: Int, length: Int
    }

    @Test(arguments: SourceTree.sources + SourceTree.tests)
    func `no file is longer than can be read`(file: SourceFile) {
        #expect(file.lines.count <= Rules.fileLength, "\(file.path) has \(file.lines.count) lines")
    }

    @Test(arguments: SourceTree.sources)
    func `no function is longer than a screen without a reason`(file: SourceFile) {
        for function in Self.functions(of: file) where function.length > Rules.functionLength {
            #expect(
                Rules.longFunctions["\(file.path):\(function.name)"] != nil,
                "\(file.path):\(function.line): \(function.name) has \(function.length) lines")
        }
    }

    @Test func `the usual function and the usual file are short`() {
        let lengths = SourceTree.gateway.flatMap { Self.functions(of: $0).map(\.length) }.sorted()
        #expect(lengths.count > 500 && lengths[lengths.count / 2] < 10)
        let files = SourceTree.gateway.map(\.lines.count).sorted()
        #expect(files[files.count / 2] <= 150)
    }

    @Test func `every exception is still needed`() {
        let excepted = SourceTree.sources.filter { file in
            Rules.longFunctions.keys.contains { $0.hasPrefix("\(file.path):") }
        }
        let long = Set(
            excepted.flatMap { file in
                Self.functions(of: file).filter { $0.length > Rules.functionLength }.map { "\(file.path):\($0.name)" }
            })
        for exception in Rules.longFunctions.keys { #expect(long.contains(exception), "\(exception) is short now") }
    }

    @Test func `functions are found and measured`() {
        let file = SourceFile(
            path: "Sources/X/Y.swift",
            text: """
                struct Y {
                    var z: Int { 1 }
                    package mutating func a(
                        _ b: Int
                    ) -> Int {
                        // one
                        return b
                    }
                    init() {}
                    var answer: Int {
                        1
                    }
                }
                """)
        let found = Self.functions(of: file).map { "\($0.name) \($0.line) \($0.length)" }
        #expect(found == ["z 2 1", "a 3 6", "init 9 1", "answer 10 3"])
    }

    /// By the indentation that the formatter guarantees: a body ends where a brace stands under its declaration.
    static func functions(of file: SourceFile) -> [Function] {
        let declaration =
            /^( *)(?:@[\w(). :&,]+ |[a-z]+(?:\(set\))? )*?(?:func (\S+?)[(<]|(init)[?(<]|(deinit) |(subscript)[(<]|var (\w+): [^={]*\{)/
        let words = ["func ", "var ", "init", "subscript"]
        var found: [Function] = []
        for (start, line) in file.code.enumerated() where words.contains(where: { line.contains($0) }) {
            guard let match = line.firstMatch(of: declaration) else { continue }
            let name = match.2 ?? match.3 ?? match.4 ?? match.5 ?? match.6 ?? ""
            guard let length = bodyLength(file.code, from: start, indent: match.1.count) else { continue }
            found.append(Function(name: String(name), line: start + 1, length: length))
        }
        return found
    }
    private static func bodyLength(_ code: [String], from start: Int, indent: Int) -> Int? {
        let first = code[start].trimmingSuffix { $0 == " " }
        if first.hasSuffix("}") { return 1 }
        let closing = String(repeating: " ", count: indent) + "}"
        for end in (start + 1)..<max(code.count, start + 1) {
            if code[end].hasPrefix(closing) { return end - start + 1 }
            // a requirement without a body, or the end of what surrounds it
            let isOutside = !code[end].isEmpty && code[end].prefix { $0 == " " }.count < indent
            if isOutside { return nil }
        }
        return nil
    }
}

extension String {
    fileprivate func trimmingSuffix(while drops: (Character) -> Bool) -> Substring {
        var rest = self[...]
        while let last = rest.last, drops(last) { rest.removeLast() }
        return rest
    }
}
