// What strangers send stays inside its field and its line of the log (R10).
import Foundation
import SeededRandom
import Telemetry
import Testing

struct LogEscapeTests {
    @Test(arguments: [
        ("plain /path?x=1", "plain /path?x=1"), ("", ""), ("a\"b", "a\\x22b"), ("a\\b", "a\\x5Cb"),
        ("a\r\nb", "a\\x0D\\x0Ab"), ("\u{1b}[2J", "\\x1B[2J"), ("\u{7f}", "\\x7F"), ("é", "\\xC3\\xA9"),
        ("\0", "\\x00"),
    ])
    func `R10 text is escaped as nginx escapes it`(raw: String, escaped: String) {
        #expect(LogEscape.text(Array(raw.utf8)) == escaped)
    }

    @Test(arguments: [
        ("plain", "plain"), ("a\"b", "a\\\"b"), ("a\\b", "a\\\\b"), ("a\nb", "a\\u000Ab"), ("é€😀", "é€😀"),
        ("\u{7f}", "\\u007F"), ("\u{9b}31m", "\\u009B31m"), ("\u{a0}", "\u{a0}"), ("\0", "\\u0000"),
    ])
    func `R10 JSON is escaped, terminal controls too`(raw: String, escaped: String) {
        #expect(LogEscape.json(Array(raw.utf8)) == escaped)
    }

    @Test(arguments: [
        ("a \"b\" é", "a \"b\" é"), ("a\nb", "a\\x0Ab"), ("a\\x0Ab", "a\\x5Cx0Ab"), ("\u{1b}[2J", "\\x1B[2J"),
        ("\u{9b}31m", "\\xC2\\x9B31m"),
    ])
    func `R10 messages keep their quotes and lose their controls`(raw: String, escaped: String) {
        #expect(LogEscape.message(Array(raw.utf8)) == escaped)
    }

    @Test(
        arguments: [
            [0x80], [0xc0, 0xaf], [0xc2], [0xe0, 0x80, 0xaf], [0xed, 0xa0, 0x80], [0xf0, 0x8f, 0xbf, 0xbf],
            [0xf4, 0x90, 0x80, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xff], [0xe2, 0x82],
        ] as [[UInt8]])
    func `R10 what is not UTF-8 becomes replacement characters`(bytes: [UInt8]) {
        #expect(LogEscape.json(bytes) == String(repeating: "\\ufffd", count: bytes.count))
    }

    @Test func `R10 random bytes always give one line that a JSON parser reads`() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<2000 {
            let bytes = (0..<Int.random(in: 0...24, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            let line = "[\"" + LogEscape.json(bytes) + "\"]"
            #expect(!line.utf8.contains { $0 < 0x20 || $0 == 0x7f }, "seed \(seed), \(bytes)")
            let value = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String]
            #expect(value?.first == Self.expected(bytes), "seed \(seed), \(bytes)")
        }
    }
    /// Well-formed text comes back as it was; for the rest it is enough that it parsed.
    private static func expected(_ bytes: [UInt8]) -> String? {
        String(validating: bytes, as: UTF8.self)
            ?? (try? JSONSerialization.jsonObject(
                with: Data(("[\"" + LogEscape.json(bytes) + "\"]").utf8)) as? [String])?.first
    }
}
