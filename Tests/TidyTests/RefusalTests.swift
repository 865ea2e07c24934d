// Every answer of the gateway is asked for by some test that is not the table's own.
import Foundation
import Testing

struct RefusalTests {
    private static let codes: [String] = {
        let table = SourceTree.gateway.first { $0.path == "Sources/Policy/LocalResponse.swift" }
        return (table?.text ?? "").matches(of: /(?:Answer\(\d+, |\.token\(|\.closing\(\d+, )"([a-z0-9_]+)"/).map {
            String($0.1)
        }
    }()
    private static let tests =
        SourceTree.tests.filter { !$0.path.contains("LocalResponse") && !$0.path.contains("TidyTests") }
        + SourceTree.files(under: "Tests/EndToEnd") { $0.hasSuffix(".py") }

    @Test func `the table was found`() {
        #expect(Self.codes.count > 40 && Set(Self.codes).count == Self.codes.count)
    }

    @Test(arguments: codes)
    func `each refusal code is expected by some test`(code: String) {
        let camel = code.split(separator: "_").enumerated().map { $0 == 0 ? String($1) : $1.capitalized }.joined()
        #expect(
            Self.tests.contains { $0.text.contains("\"\(code)\"") || $0.text.contains(".\(camel)") },
            "no test mentions \(code)")
    }
}
