// Golden files, one for each directive: cases of input, a line of dashes, and what comes of it. `UPDATE_GOLDEN=1`
// rewrites
// what comes of it, to be read before it is committed.
import Configuration
import Foundation
import Testing

enum Fixture {
    static let golden = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Golden")
    static let files = golden.appending(path: "files").path() + "/"
    static let repository = golden.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    static let isUpdating = ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] == "1"
    static let environment = ["PORT": "8080", "WORD": "hunter2", "EMPTY": "", "SYNTAX": "off; $host }"]

    static func parse(_ text: String, file: String = "gateway.conf") -> LoadResult {
        GatewayConfiguration.parse(text: text, file: file, folder: files, environment: environment)
    }

    static func load(_ text: String) throws -> GatewayConfiguration {
        switch parse(text) {
        case .loaded(let configuration, _): return configuration
        case .invalid(let diagnostics): throw Unexpected(diagnostics.map(\.rendered).joined(separator: "\n"))
        case .unreadable(let reason): throw Unexpected(reason)
        }
    }

    static func errors(_ text: String) -> [String] {
        switch parse(text) {
        case .loaded: []
        case .invalid(let diagnostics): diagnostics.map { $0.rendered.replacing(files, with: "FILES/") }
        case .unreadable(let reason): [reason]
        }
    }

    struct Unexpected: Error, CustomStringConvertible {
        var description: String
        init(_ description: String) { self.description = description }
    }
}

struct GoldenTests {
    static let names = DirectiveTable.descriptions.map(\.name).reduce(into: [String]()) { names, name in
        if !names.contains(name) { names.append(name) }
    }

    @Test(arguments: names + ["grammar", "nginx", "later", "inheritance"])
    func golden(_ name: String) throws {
        let url = Fixture.golden.appending(path: "\(name).conf")
        let text = try String(contentsOf: url, encoding: .utf8)
        let cases = text.components(separatedBy: "\n==========\n").map { $0.components(separatedBy: "\n----------\n") }
        var updated: [String] = []
        for parts in cases {
            let outcome = Self.outcome(of: parts[0], about: name)
            updated.append(parts[0].trimmingSuffix("\n") + "\n----------\n" + outcome)
            if Fixture.isUpdating { continue }
            #expect(parts.count == 2, "\(name): a case has one line of ten dashes")
            #expect(outcome == parts.last?.trimmingSuffix("\n"), "\(name): \(parts[0])")
        }
        if Fixture.isUpdating {
            try (updated.joined(separator: "\n==========\n") + "\n").write(to: url, atomically: true, encoding: .utf8)
        }
    }

    /// The directive wherever the effective configuration says it, with notes; or the errors.
    static func outcome(of input: String, about name: String) -> String {
        let hasServer = input.hasPrefix("server {") || input.contains("\nserver {") || input.contains("    server {")
        let text = hasServer ? input + "\n" : input + "\nserver { listen 8080; }\n"
        // Files are included relative to the file that says so.
        let file = name == "include" ? Fixture.files + "gateway.conf" : "gateway.conf"
        switch Fixture.parse(text, file: file) {
        case .unreadable(let reason): return reason
        case .invalid(let diagnostics):
            return diagnostics.map { $0.rendered.replacing(Fixture.files, with: "FILES/") }.joined(separator: "\n")
        case .loaded(let configuration, let notes):
            let notes = notes.map { "note: \($0.message)" }
            let lines = said(name, in: configuration.dump())
            return (lines + notes).joined(separator: "\n").replacing(Fixture.files, with: "FILES/")
        }
    }

    /// Lines of a print-out that begin with one of the names, each behind the heads of the blocks around it.
    private static func said(_ name: String, in dump: String) -> [String] {
        let wanted: Set<String> =
            switch name {
            case "include": ["client_max_body_size", "send_timeout"]
            case "http", "events": ["worker_connections", "listen"]
            case "origins", "methods", "headers", "expose", "credentials", "max_age", "pass": ["cors"]
            case "key", "ttl", "header": ["identity_token"]
            case "grammar": ["return", "add_header"]
            case "inheritance": ["add_header", "require", "auth", "proxy_read_timeout", "identity_headers"]
            default: [name]
            }
        var heads: [String] = []
        var found: [String] = []
        for line in dump.split(separator: "\n") {
            let text = line.drop { $0 == " " }
            if text == "}" {
                heads.removeLast()
                continue
            }
            if wanted.contains(String(text.prefix { $0 != " " && $0 != ";" })) {
                found.append((heads + [String(text)]).joined(separator: " > "))
            }
            if text.hasSuffix(" {") { heads.append(String(text.dropLast(2))) }
        }
        return found
    }
}

extension String {
    fileprivate func trimmingSuffix(_ suffix: Character) -> String {
        var text = self[...]
        while text.last == suffix { text = text.dropLast() }
        return String(text)
    }
}
