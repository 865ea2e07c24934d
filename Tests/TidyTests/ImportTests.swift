// The targets form a strict order: every import of every file is compared with the table.
import Testing

struct ImportTests {
    private static var statement: Regex<(Substring, Substring)> {
        /^(?:@\w+ )*(?:package |public |internal |private )?import (?:struct |func |enum )?(\w+)/
    }

    @Test(arguments: SourceTree.gateway)
    func `a file imports only what stands below it`(file: SourceFile) throws {
        let ours = try #require(Rules.imports[file.target], "\(file.target) is no target of the table")
        let allowed = ours.union(Rules.systemImports[file.target] ?? [])
        let statement = Self.statement
        for (number, line) in file.lines.enumerated() where line.contains("import") {
            guard let found = line.firstMatch(of: statement) else { continue }
            #expect(
                allowed.contains(String(found.1)),
                "\(file.path):\(number + 1): \(file.target) may not import \(found.1)")
        }
    }

    @Test func `the backend shares no code with the gateway`() {
        // Aliased: the package swift-configuration also has a module of that name.
        // Both read Redis' replies with Debian's hiredis, which is nobody's code here.
        let ours = Set(Rules.imports.keys).subtracting(["Configuration"]).union([
            "CScan", "CLinux", "COpenSSL", "CPCRE2", "CNGHTTP2",
        ])
        let statement = Self.statement
        for file in SourceTree.sources where file.target == "backend" {
            for line in file.lines where line.contains("import") {
                guard let found = line.firstMatch(of: statement) else { continue }
                #expect(!ours.contains(String(found.1)), "\(file.path) imports \(found.1)")
            }
        }
    }

    @Test func `the table has no arrow that runs up or sideways`() throws {
        var levels: [String: Int] = [:]
        func level(of target: String, _ path: [String]) throws -> Int {
            try #require(!path.contains(target), "\(path) is a circle")
            if let known = levels[target] { return known }
            let below = try (Rules.imports[target] ?? []).map { try level(of: $0, path + [target]) }
            levels[target] = (below.max() ?? -1) + 1
            return levels[target] ?? 0
        }
        for target in Rules.imports.keys { _ = try level(of: target, []) }
    }

    @Test func `the manifest allows what the table allows`() throws {
        let manifest = try SourceTree.text("Package.swift")
        for entry in manifest.matches(of: /library\(\s*"(\w+)",\s*\[([^\]]*)\]/) {
            let names = Set(entry.2.matches(of: /"(\w+)"/).map { String($0.1) })
            #expect(names == Rules.imports[String(entry.1)], "Package.swift: \(entry.1)")
        }
        for target in Rules.imports.keys where target != "gateway" {
            #expect(manifest.contains("library(\"\(target)\"") || manifest.contains("\"\(target)\","), "\(target)")
        }
    }
}
