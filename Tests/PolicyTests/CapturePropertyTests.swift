// Captures that decide about access against the reference, over random paths: a path is accepted exactly when no reading of it
// leads elsewhere or gives another value (P02).
import Configuration
import HTTP
import Policy
import Testing

@Suite struct CapturePropertyTests {
    private static let rules = #"""
        location ~ "^/t/(?<tenant>[^/]+)/" { require claim tenant = $tenant; }
        location /t/ { require permission a; }
        """#
    private static let words = [
        "/", "/", "/", "//", "t", "T", "acme", "Acme", "other", "..", ".", "%2f", "%2F", "%252f", "%5c", "%61", "%2561",
        "%20", "%3b", ";",
        ";x=1", "%c0%af", "%c0%ae", "%ef%bc%8f", "%09", "%3f", "%23", "-", "_", "~", "%7e", "%25", "%e2%82%ac", "/t/",
        "/../t/",
    ]

    /// Where a reading leads, and the value that it gives.
    private func meaning(_ path: PathReference.Path, folded: Bool) -> String {
        var text = path
        if folded { text = text.map { $0 &- 0x41 < 26 ? $0 | 0x20 : $0 } }
        if text == Array("/t".utf8) { return "/t/" }
        guard text.starts(with: Array("/t/".utf8)) else { return "unmatched" }
        let rest = text.dropFirst(3)
        let segment = Array(rest.prefix { $0 != UInt8(ascii: "/") })
        guard !segment.isEmpty, segment.count < rest.count else { return "/t/" }
        return "tenant " + decoded(segment, folded: folded)
    }

    private func decoded(_ segment: [UInt8], folded: Bool) -> String {
        var bytes: [UInt8] = []
        var rest = segment[...]
        while let byte = rest.popFirst() {
            let digits = String(decoding: rest.prefix(2), as: UTF8.self)
            if byte == UInt8(ascii: "%"), digits.count == 2, digits.allSatisfy(\.isHexDigit),
                let value = UInt8(digits, radix: 16)
            {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        if folded { bytes = bytes.map { $0 &- 0x41 < 26 ? $0 | 0x20 : $0 } }
        return bytes.map { String($0, radix: 16) }.joined(separator: " ")
    }

    private func expected(_ text: String) -> String {
        guard let path = PathReference.normalised(text) else { return "path_invalid" }
        let own = meaning(path, folded: false)
        guard let readings = PathReference.readings(path, limit: 64) else { return "path_ambiguous" }
        for reading in readings {
            for folded in [false, true] where meaning(reading, folded: folded) != own { return "path_ambiguous" }
        }
        return own
    }

    @Test(arguments: [UInt64.random(in: 0...UInt64.max), 1, 2, 3])
    func p02AgreesWithTheReference(seed: UInt64) throws {
        let fixture = try RuleFixture(Self.rules)
        var diagnostics: [Diagnostic] = []
        guard var table = RouteTable.compile(fixture.configuration, &diagnostics) else {
            Issue.record("\(diagnostics)")
            return
        }
        var random = SeededRandom(seed: seed)
        var counts: [String: Int] = [:]
        for _ in 0..<600 {
            var text = "/" + random.pick(["t/", "t/", "t/acme", "t/acme/", "", "T/"])
            for _ in 0...random.below(4) { text += random.pick(Self.words) }
            let verdict = found(text, &table, fixture.configuration)
            #expect(verdict == expected(text), "\(text), seed \(seed)")
            counts[verdict.hasPrefix("tenant") ? "tenant" : verdict, default: 0] += 1
        }
        for answer in ["tenant", "path_ambiguous", "/t/", "unmatched"] {
            #expect(counts[answer, default: 0] > 5, "\(answer), seed \(seed)")
        }
    }

    private func found(_ path: String, _ table: inout RouteTable, _ configuration: GatewayConfiguration) -> String {
        var head = RequestHead()
        let bytes = Array("GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
        guard case .complete = head.parse(bytes.span, limits: HTTPLimits()) else { return "no request" }
        switch table.match(head, listener: 0) {
        case .refused(let response, _): return "\(response.code)"
        case .route(let location, _):
            var groups = CapturedGroups()
            table.capture(head, location: location, into: &groups)
            guard groups.count == 1 else { return configuration.locations[location].name }
            return "tenant " + groups[0].indices.map { String(groups[0][$0], radix: 16) }.joined(separator: " ")
        }
    }
}
