// Which tokens wait for keys: those whose key may come, and never twice for a name that did not (security row J35).
import Bytes
import Configuration
import JOSE
import Testing
import TokenSigning

@testable import Policy

private func at(_ seconds: UInt64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }
private func id(_ text: String) -> SHA256Value { SHA256().hash(Array(text.utf8).span) }

struct AbsentKeysTests {
    @Test func `a name is remembered for a minute`() {
        var keys = AbsentKeys()
        #expect(keys.contains(id("a"), now: at(0)) == false)
        keys.note(id("a"), now: at(10))
        #expect(keys.contains(id("a"), now: at(10)) == true)
        #expect(keys.contains(id("a"), now: at(69)) == true)
        #expect(keys.contains(id("a"), now: at(70)) == false)
        #expect(keys.contains(id("b"), now: at(10)) == false)
    }

    @Test func `names drive each other out, and are never taken for each other`() {
        var keys = AbsentKeys()
        for i in 0..<100_000 { keys.note(id("\(i)"), now: at(0)) }
        var remembered = 0
        for i in 0..<100_000 where keys.contains(id("\(i)"), now: at(1)) { remembered += 1 }
        #expect((1...1024).contains(remembered))
        for i in 0..<10_000 { #expect(keys.contains(id("other \(i)"), now: at(1)) == false) }
    }
}
