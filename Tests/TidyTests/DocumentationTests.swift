// What the pages list is what there is: codes, metrics, fields of logs, folders and files.
import Foundation
import Testing

struct DocumentationTests {
    private static func page(_ path: String) -> String {
        (try? String(contentsOf: SourceTree.root.appending(path: path), encoding: .utf8)) ?? ""
    }
    private static func source(_ path: String) -> String { SourceTree.sources.first { $0.path == path }?.text ?? "" }
    private static let operations = page("docs/operations.md")

    /// Each code with its status, and whether it ends the connection.
    private static let codes: [(code: String, status: String, closes: Bool)] = {
        let table = source("Sources/Policy/LocalResponse.swift")
        let row = /(Answer\((\d+), |\.token\(|\.closing\((\d+), )"([a-z0-9_]+)"/
        return table.matches(of: row).map { match in
            let status = match.2 ?? match.3 ?? "401"
            return (String(match.4), String(status), match.3 != nil)
        }
    }()

    @Test func `every refusal is listed with its status`() {
        #expect(Self.codes.count > 40)
        for (code, status, closes) in Self.codes {
            let row = Self.operations.split(separator: "\n").first { $0.hasPrefix("| `\(code)` | \(status) |") }
            #expect(row != nil, "docs/operations.md has no row for \(code) with status \(status)")
            #expect(row?.contains("closes") == closes, "\(code): does it end the connection?")
        }
    }

    @Test func `no refusal is listed that does not exist`() {
        let listed = Self.operations.matches(of: /\| `([a-z0-9_]+)` \| [1-5]\d\d \|/).map { String($0.1) }
        #expect(Set(listed) == Set(Self.codes.map(\.code)) && listed.count == Self.codes.count)
    }

    @Test func `what to do is said for each refusal, once`() {
        let section =
            Self.operations.components(separatedBy: "### What to do about them").last?
            .components(separatedBy: "\n## ").first ?? ""
        let rows = section.split(separator: "\n").filter { $0.hasPrefix("| `") }
        let said = rows.flatMap { row in
            row.dropFirst(2).prefix { $0 != "|" }.matches(of: /`([a-z0-9_]+)`/).map { String($0.1) }
        }
        for (code, _, _) in Self.codes {
            #expect(
                said.filter { $0 == code }.count == 1,
                "docs/operations.md, \"What to do about them\": a row for \(code)")
        }
        for code in said { #expect(Self.codes.contains { $0.code == code }, "\(code) does not exist") }
    }

    @Test func `every metric is listed, and no other`() {
        let text = Self.source("Sources/Telemetry/Exposition.swift")
        let direct = text.matches(of: /(?:family|single)\(\s*"([a-z0-9_]+)"/).map { String($0.1) }
        let upstream = text.matches(of: /\(\.[a-z]+, "([a-z_]+)", "/).map { String($0.1) }
        let listed = Self.operations.matches(of: /\| `gateway_([a-z0-9_]+)` \|/).map { String($0.1) }
        #expect(direct.count > 20 && upstream.count == 4)
        #expect(Set(listed) == Set(direct + upstream))
    }

    @Test func `every field of the access log is listed`() {
        let text = Self.source("Sources/Telemetry/AccessRecord.swift")
        let fields = text.matches(of: /(?:text|number|target|word|seconds)\("([a-z_]+)"/).map { String($0.1) }
        let section =
            Self.operations.components(separatedBy: "## Logs").last?.components(separatedBy: "## ").first ?? ""
        #expect(fields.count > 20)
        for field in fields { #expect(section.contains("`\(field)`"), "docs/operations.md does not list \(field)") }
    }

    @Test func `the map of the sources shows every folder`() throws {
        let folders = try FileManager.default.contentsOfDirectory(
            atPath: SourceTree.root.appending(path: "Sources").path(percentEncoded: false))
        let map =
            Self.page("README.md").components(separatedBy: "## A map of Sources").last?
            .components(separatedBy: "\n## ").first ?? ""
        for folder in folders where !folder.hasPrefix(".") { #expect(map.contains("`\(folder)`"), "\(folder)") }
    }

    @Test(arguments: ["README.md", "docs/architecture.md", "docs/operations.md", "docs/security.md"])
    func `files that a page names exist`(path: String) {
        let text = Self.page(path)
        #expect(!text.isEmpty)
        let names = text.matches(of: /`([A-Za-z0-9\/]+\.swift)`/).map { String($0.1) }
        let all = (SourceTree.sources + SourceTree.tests).map(\.path) + ["Package.swift"]
        for name in names where name != "Package.swift" {
            #expect(all.contains { $0.hasSuffix("/" + name) || $0 == name }, "\(path) names \(name)")
        }
        for link in text.matches(of: /\]\(([A-Za-z0-9\/._-]+)\)/).map({ String($0.1) }) {
            let folder = path.hasPrefix("docs/") ? "docs/" : ""
            let file = SourceTree.root.appending(path: folder + link).path(percentEncoded: false)
            #expect(FileManager.default.fileExists(atPath: file), "\(path) links to \(link)")
        }
    }
}
