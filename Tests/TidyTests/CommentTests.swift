// What files say about themselves.
import Foundation
import Testing

struct CommentTests {
    @Test(arguments: SourceTree.sources + SourceTree.tests)
    func `a file begins with a sentence on what it is for`(file: SourceFile) {
        #expect(file.headComment.count >= 15, "\(file.path)")
    }

    @Test(arguments: SourceTree.sources + SourceTree.tests)
    func `nothing is left to be done later`(file: SourceFile) {
        let words = ["TO" + "DO", "FIX" + "ME", "HA" + "CK"]
        for (number, line) in file.lines.enumerated() {
            #expect(!words.contains { line.contains($0) }, "\(file.path):\(number + 1)")
        }
    }

    @Test func `files that run are executable, and no others are`() throws {
        for folder in ["Sources", "Tests", "scripts", "bench", "docs", ".ci"] {
            for file in SourceTree.files(under: folder, where: { _ in true }) {
                let path = SourceTree.root.appending(path: file.path).path(percentEncoded: false)
                let mode = try #require(FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int)
                #expect(
                    (mode & 0o111 != 0) == file.text.hasPrefix("#!"), "\(file.path) has mode \(String(mode, radix: 8))")
            }
        }
    }
}
