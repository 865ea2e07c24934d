// A journal gives back what was written, whatever a crash or a disk did to its end or its middle.
import Bytes
import Foundation
import Policy
import Reactor
import Testing

@testable import Proxy

@Suite struct RevocationJournalTests {
    private static let now: Int64 = 1_800_000_000
    private let folder = FileManager.default.temporaryDirectory.appending(path: "journal-\(UUID().uuidString)")
    private var path: String { folder.appending(path: "revocations").path(percentEncoded: false) }

    init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }

    private func entry(_ i: Int) -> RevocationEntry {
        RevocationEntry(
            key: RevocationKey(high: UInt64(i) &* 0x9e37_79b9_7f4a_7c15 | 1, low: ~UInt64(i)),
            until: UInt32(Self.now) + UInt32(i), before: UInt32(i))
    }
    private func write(_ entries: [RevocationEntry], _ cursor: JournalCursor? = nil) throws {
        var text = JournalText()
        text.append(entries, cursor)
        try text.append(to: path)
    }
    private var bytes: [UInt8] {
        get throws { Array(try Data(contentsOf: URL(filePath: path))) }
    }
    private func replace(_ bytes: [UInt8]) throws { try Data(bytes).write(to: URL(filePath: path)) }

    @Test func whatWasWrittenComesBack() throws {
        let empty = try RevocationJournal.load(path, now: Self.now)
        #expect(empty.entries.isEmpty && empty.lines == 0 && empty.damaged == 0)
        let scope = RevocationKey(high: 1, low: .max)
        try write((1...100).map(entry), JournalCursor(scope: scope, text: "a b"))
        try write([], JournalCursor(scope: scope, text: "1-2"))
        let contents = try RevocationJournal.load(path, now: Self.now + 50)
        #expect(contents.entries == (51...100).map(entry), "what is over is left out")
        #expect(contents.cursors == [JournalCursor(scope: scope, text: "1-2")])
        #expect(contents.lines == 102 && contents.damaged == 0)
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        try FileManager.default.removeItem(at: folder)
    }

    /// Cut anywhere, the whole lines before the cut are good, and at most one is counted as damaged.
    @Test func cutAnywhere() throws {
        try write((1...4).map(entry))
        let whole = try bytes
        for end in 0..<whole.count {
            try replace(Array(whole[..<end]))
            let contents = try RevocationJournal.load(path, now: Self.now)
            #expect(contents.entries == (1...4).map(entry).prefix(end / 62).map { $0 })
            #expect(contents.damaged == (end % 62 == 0 ? 0 : 1), "cut at \(end)")
        }
        try FileManager.default.removeItem(at: folder)
    }

    /// A changed byte costs its line, and its line alone.
    @Test func changedAnywhere() throws {
        try write((1...3).map(entry))
        let whole = try bytes
        for at in 62..<124 {
            var changed = whole
            changed[at] ^= 1
            try replace(changed)
            let contents = try RevocationJournal.load(path, now: Self.now)
            #expect(contents.entries.first == entry(1), "byte \(at)")
            #expect(!contents.entries.contains(entry(2)), "byte \(at)")
            // A line that ends elsewhere takes the next one with it.
            #expect(contents.damaged >= 1 && contents.entries.count >= (at == 123 ? 1 : 2), "byte \(at)")
        }
        try FileManager.default.removeItem(at: folder)
    }

    @Test func whatOthersMayWriteIsNotBelieved() throws {
        try write([entry(1)])
        try FileManager.default.setAttributes([.posixPermissions: 0o622], ofItemAtPath: path)
        #expect(throws: FileFailure.self) { try RevocationJournal.load(path, now: Self.now) }
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: "/dev/null")
        #expect(throws: FileFailure.self) { try RevocationJournal.load(path, now: Self.now) }
        try FileManager.default.removeItem(at: folder)
    }
}
