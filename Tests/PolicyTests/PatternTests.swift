// Regular expressions have limits, and cannot be talked out of them.
import Policy
import Testing

@Suite struct PatternTests {
    private func outcome(_ expression: String, _ text: String, caseless: Bool = false) throws -> Pattern.Outcome {
        var pattern = try Pattern.compile(expression, isCaseSensitive: !caseless)
        return pattern.evaluate(Array(text.utf8).span)
    }

    @Test func matching() throws {
        #expect(try outcome("^/a[0-9]+$", "/a12") == .matches)
        #expect(try outcome("^/a[0-9]+$", "/a12b") == .differs)
        #expect(try outcome("B", "/abc") == .differs)
        #expect(try outcome("B", "/abc", caseless: true) == .matches)
        #expect(try outcome("^$", "") == .matches)
        // Bytes, not characters: what is no UTF-8 is matched all the same.
        #expect(try outcome("^/..$", "/\u{e9}") == .matches)
    }

    @Test("An expression that would take hours is given up", arguments: ["^(a+)+$", "(?>(a|a)*)*b$", "(a|aa)+$"])
    func limits(expression: String) throws {
        let text = String(repeating: "a", count: 5000) + "!"
        let clock = ContinuousClock()
        var result = Pattern.Outcome.matches
        let time = try clock.measure { result = try outcome(expression, text) }
        #expect(result != .matches)
        #expect(time < .milliseconds(200), "\(time)")
    }

    @Test func aPatternIsGoodForMoreThanOneText() throws {
        var pattern = try Pattern.compile("^(a+)+$", isCaseSensitive: true)
        for _ in 0..<3 {
            let endless = pattern.evaluate(Array((String(repeating: "a", count: 3000) + "!").utf8).span)
            #expect(endless == .undecided)
            let quick = pattern.evaluate(Array("aaa".utf8).span)
            #expect(quick == .matches)
        }
    }

    @Test(arguments: ["(", "[", "*", "(?<x", "\\C", "(*UTF)a", "(*UCP)(*UTF8)"])
    func mistakes(expression: String) {
        #expect(throws: Pattern.Mistake.self) { try outcome(expression, "") }
    }

    @Test func mistakesSayWhere() {
        do throws(Pattern.Mistake) {
            _ = try Pattern.compile("ab(cd", isCaseSensitive: true)
            Issue.record("compiled")
        } catch {
            #expect(error.offset == 5)
            #expect(error.message == "missing closing parenthesis")
        }
    }
}
