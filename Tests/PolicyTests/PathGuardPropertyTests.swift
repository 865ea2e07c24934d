// The path guard against the reference, over random paths made of what attacks are made of.
import Configuration
import Policy
import Testing

@Suite struct PathGuardPropertyTests {
    private static let lines = [
        LocationLine("/api/", "read:data"), LocationLine("/api/admin/", "read:admin"), LocationLine("/public/"),
        LocationLine("/Files/", "read:data"), LocationLine("= /public/login", "read:data"),
        LocationLine("~ \\.key$", "read:admin"),
        LocationLine("/shop"),
    ]
    private static let words = [
        "/", "/", "/", ".", "..", "/../", "/..", "api", "admin", "public", "Files", "files", "shop", "login", ".key",
        "x", "%2f",
        "%2F", "%5c", "%2e", "%252e", "%252f", "%255C", "%25", "%", ";", ";v=1", "%3b", "%c0%ae", "%c0%af", "%ef%bc%8f",
        "%EF%BC%8E",
        "%e0%80%ae", "%09", "%0a", "%0D", "%3f", "%23", "%20", "%20/", "/%20", "//", "API", "Admin", "%61", "%2561",
        "%2500", "%00",
        "%zz", "\\", "-", "%e2%82%ac",
    ]

    /// The location of a path by the plain meaning of the rules, from a list.
    private func location(_ path: PathReference.Path, folded: Bool) -> Int? {
        func spelt(_ text: some Sequence<UInt8>) -> String {
            let text = String(text.map { Character(UnicodeScalar($0)) })
            return folded ? text.lowercased() : text
        }
        let path = spelt(path)
        var best: (index: Int, rank: Int)?
        for (i, line) in Self.lines.enumerated() {
            let key = spelt(line.text.split(separator: " ").last!.utf8)
            switch line.match {
            case .exact: if path == key { return i }
            case .prefix:
                // A path that lacks only the slash of a prefix comes after one that is a prefix itself.
                let isBelow = path.hasPrefix(key.hasSuffix("/") ? key : key + "/") || path == key
                let rank = isBelow ? 2 * key.count : path + "/" == key ? 2 * key.count - 3 : 0
                if rank > best?.rank ?? 0 { best = (i, rank) }
            default: break
            }
        }
        return path.hasSuffix(".key") ? 5 : best?.index
    }

    private func access(_ location: Int?) -> String { location.map { Self.lines[$0].access } ?? "main" }

    private func expected(_ text: String) -> String {
        guard let path = PathReference.normalised(text) else { return "path_invalid" }
        let found = location(path, folded: false)
        guard let readings = PathReference.readings(path, limit: 64) else { return "path_ambiguous" }
        for reading in readings {
            for folded in [false, true] where access(location(reading, folded: folded)) != access(found) {
                return "path_ambiguous"
            }
        }
        return found.map { Self.lines[$0].text } ?? "fallback"
    }

    private func anything(_ random: inout SeededRandom) -> String {
        var text = "/" + random.pick(["", "", "public/", "api/", "Files/", "shop/", "x/"])
        for _ in 0..<Int.random(in: 1...6, using: &random) { text += random.pick(Self.words) }
        return text
    }

    /// Out of one location and into another, or not quite.
    private func attack(_ random: inout SeededRandom) -> String {
        let slashes = ["/", "/", "%2f", "%5C", "//", ";/", "%252F", "%c0%af", "/%20/", "%ef%bc%8f", "/%09", "./"]
        let dots = ["%2e%2e", "..;", "..", "%252e.", ".%c0%ae", "..%20", ".%0a.", "%ef%bc%8e.", "..;v=1", "%25252e."]
        let names = [
            "api", "API", "%61pi", "api/admin", "admin", "public", "Files", "files", "shop", "a.key", "public/login",
        ]
        let tails = ["", "/", "/x", ".", "%20", "%3f", "%23a", ";x", "%0d", "x", "%2500", "/X%2Fy"]
        var text = "/" + random.pick(["public", "public", "shop", "api", "Files", "x"]) + random.pick(slashes)
        for _ in 0..<Int.random(in: 0...2, using: &random) { text += random.pick(dots) + random.pick(slashes) }
        return text + random.pick(names) + random.pick(tails)
    }

    @Test(
        "P02, P03: accepted exactly when no reading has other access",
        arguments: [UInt64.random(in: 0...UInt64.max), 1, 2, 3])
    func agreesWithTheReference(seed: UInt64) throws {
        var routes = try RouteFixture(Self.lines, fallback: "main").table()
        var random = SeededRandom(seed: seed)
        var counts: [String: Int] = [:]
        for _ in 0..<500 {
            let text = Bool.random(using: &random) ? anything(&random) : attack(&random)
            let verdict = routes(text)
            let expected = expected(text)
            #expect(verdict == expected, "\(text), seed \(random.seed)")
            counts[verdict, default: 0] += 1
        }
        // All three kinds of answer were met, and often.
        for answer in ["path_invalid", "path_ambiguous", "/public/"] {
            #expect(counts[answer, default: 0] > 10, "\(answer), seed \(random.seed)")
        }
    }
}
