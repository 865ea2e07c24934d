// The source files of this package, read once.
import Foundation
import Testing

/// One text file of the tree.
struct SourceFile: Sendable, CustomTestStringConvertible {
    /// From the top of the package, with slashes.
    let path: String
    let text: String
    let lines: [String]
    /// The lines with comments and the insides of string literals taken out.
    let code: [String]

    init(path: String, text: String) {
        self.path = path
        self.text = text
        lines = text.components(separatedBy: "\n")
        code = path.hasSuffix(".swift") ? CodeScanner.code(of: text).components(separatedBy: "\n") : lines
    }

    /// `Bytes` for `Sources/Bytes/ByteBuffer.swift`.
    var target: String { path.split(separator: "/").dropFirst().first.map(String.init) ?? "" }
    var testDescription: String { path }

    /// Numbers (from 1) of the lines of code in which `pattern` occurs.
    func codeLines(matching pattern: Regex<Substring>) -> [Int] {
        code.indices.filter { code[$0].contains(pattern) }.map { $0 + 1 }
    }
    /// The comment at the top of the file, or the first one after its imports.
    var headComment: String {
        let statement = /^(@preconcurrency )?(package |public |internal )?import\b/
        let body = lines.drop { $0.isEmpty || $0.contains(statement) }
        let first = lines.first?.hasPrefix("//") == true ? lines[...] : body
        return first.prefix { $0.hasPrefix("//") }.map { $0.drop { $0 == "/" } }.joined(separator: " ")
    }
}

enum SourceTree {
    static let root = URL(filePath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
        .deletingLastPathComponent()
        .deletingLastPathComponent()

    static let sources = files(under: "Sources") { $0.hasSuffix(".swift") }
    static let tests = files(under: "Tests") { $0.hasSuffix(".swift") }
    /// What the gateway is made of: the backend is an ordinary application with libraries of its own.
    static let gateway = sources.filter { $0.target != "backend" }
    static let libraries = gateway.filter { $0.target != "gateway" }

    /// Text files whose name passes; hidden folders and what builds leave behind are passed over.
    static func files(under folder: String, where passes: (String) -> Bool) -> [SourceFile] {
        let top = root.appending(path: folder)
        guard let walker = FileManager.default.enumerator(atPath: top.path(percentEncoded: false)) else { return [] }
        var found: [SourceFile] = []
        while let path = walker.nextObject() as? String {
            let name = path.split(separator: "/").last ?? ""
            if name.hasPrefix(".") || name == "__pycache__" || name == "build" { walker.skipDescendants() }
            guard passes(path), !name.hasPrefix("."),
                let text = try? String(contentsOf: top.appending(path: path), encoding: .utf8)
            else { continue }
            found.append(SourceFile(path: "\(folder)/\(path)", text: text))
        }
        return found.sorted { $0.path < $1.path }
    }

    static func text(_ path: String) throws -> String {
        try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }
}
