// Unsafe code stands in listed files, each of which says what it owns and who frees it.
import Testing

struct UnsafeTests {
    private static func usesUnsafe(_ file: SourceFile) -> Bool { !file.codeLines(matching: /\bunsafe\b/).isEmpty }

    @Test(arguments: SourceTree.gateway)
    func `unsafe code stands in listed files only`(file: SourceFile) {
        let lines = file.codeLines(matching: /\bunsafe\b/)
        #expect(
            lines.isEmpty || Rules.unsafeFiles[file.path] != nil,
            "\(file.path):\(lines.first ?? 0): use spans, or give the file a line in Rules.unsafeFiles with its reason")
    }

    @Test(arguments: Rules.unsafeFiles.keys.sorted())
    func `a listed file needs its place, says who owns and frees, and is short`(path: String) throws {
        let file = try #require(
            SourceTree.gateway.first { $0.path == path }, "\(path) does not exist: take it off the list")
        #expect(Self.usesUnsafe(file), "\(path) has no unsafe code any more: take it off the list")
        #expect(
            file.headComment.contains(/[Oo]wn|[Ff]ree|within one call|within the call|Unsafe:/),
            "\(path) must begin with what it owns, who frees it and why its pointers stay valid")
        #expect(file.lines.count <= Rules.unsafeFileLength)
    }
}
