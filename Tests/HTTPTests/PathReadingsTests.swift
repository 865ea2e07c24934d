// How servers read paths: each habit, their combinations, and what they may cost (P02, P05).
import Bytes
import HTTP
import Testing

@Suite struct PathReadingsTests {
    /// All readings but the path itself; `tooMany` stands for the end of patience.
    private func readings(_ path: String) -> [String] {
        var readings = PathReadings()
        let bytes = Array(path.utf8)
        readings.begin(bytes.span)
        #expect(ParsedTarget.bytes(readings.current) == path)
        var found: [String] = []
        while true {
            switch readings.next() {
            case .reading: found.append(ParsedTarget.bytes(readings.current))
            case .end: return found
            case .tooMany: return found + ["tooMany"]
            }
        }
    }

    @Test(
        "P02: one habit at a time",
        arguments: [
            ("/a%2Fb", ["/a/b"]), ("/a%5Cb", ["/a/b"]), ("/a%20b", ["/a b"]), ("/a;x=1/b", ["/a/b"]),
            ("/a//b", ["/a/b"]),
            ("/a./b", ["/a/b"]), ("/a%09b", ["/a\tb", "/ab"]), ("/a%3Fb", ["/a?b", "/a"]), ("/a%23b", ["/a#b", "/a"]),
            ("/a%252Fb", ["/a%2Fb", "/a/b"]), ("/a%2561", ["/a%61", "/aa"]), ("/a%2500b", ["/a%00b", "/a\0b", "/a"]),
            ("/a%C0%AFb", ["/a\u{fffd}\u{fffd}b", "/a/b"]), ("/a%EF%BC%8Fb", ["/a\u{ff0f}b", "/a/b"]),
            ("/a%E0%80%AFb", ["/a\u{fffd}\u{fffd}\u{fffd}b", "/a/b"]), ("/%EF%BD%81", ["/\u{ff41}", "/a"]),
            ("/a%20", ["/a ", "/a"]), ("/%20/a", ["/ /a", "/a", "//a"]), ("/a/..;/b", ["/a/../b", "/b"]),
            ("/..;/b", ["/../b", "/b"]), ("/.../b", ["//b", "/b"]), ("/plain-path/x.y/", []), ("/A", []),
            ("/%E2%82%AC", ["/\u{20ac}"]),
        ])
    func oneHabit(path: String, expected: [String]) {
        #expect(Set(readings(path)) == Set(expected), "\(path): \(readings(path))")
    }

    @Test("P02: habits combine in every order")
    func combinations() {
        let found = readings("/public;x%2F..%2Fapi//admin.%20")
        for reading in ["/public/../api/admin", "/api/admin", "/public//admin", "/public/admin", "/api//admin. "] {
            if reading == "/api//admin. " {
                #expect(found.contains("/public;x/../api//admin. "))
            } else {
                #expect(found.contains(reading), "\(reading) of \(found)")
            }
        }
    }

    @Test("P05: never more than the limit, and no end without having looked")
    func limits() {
        #expect(readings("/A%2FB%20C;v=1").count == 7)
        let many = readings("/a;b//c.%20/%252f%5c%3f%23%09d/..%c0%ae")
        #expect(many.last == "tooMany")
        #expect(many.count == PathReadings.maxReadings)
        // A level of decoding after the other: each is another reading.
        #expect(readings("/a%" + String(repeating: "25", count: 20) + "2f").count == 21)
        #expect(readings("/%" + String(repeating: "25", count: 200) + "2f").last == "tooMany")
    }

    @Test("P05: the time for a path is bounded, whatever it is made of")
    func cost() {
        let worst = [
            "%252f;/../", "%252f;x//a.%20/", ";/%2e", "%25", "/;", "//", "%c0%ae%2f", "%20/", "./", "%2525252f.;",
        ]
        let clock = ContinuousClock()
        for piece in worst {
            let path = "/" + String(repeating: piece, count: 8192 / piece.utf8.count)
            let bytes = Array(path.utf8)
            var readings = PathReadings()
            var found = 1
            let time = clock.measure {
                readings.begin(bytes.span)
                while case .reading = readings.next() { found += 1 }
            }
            #expect(found <= PathReadings.maxReadings)
            // Unoptimised builds on a busy machine included; a release build takes less than a millisecond.
            #expect(time < .milliseconds(500), "\(piece): \(time)")
        }
    }

    @Test func locationsAreSpeltLikeRequests() {
        func canonical(_ text: String) -> String {
            String(decoding: PathEscape.canonical(Array(text.utf8)), as: UTF8.self)
        }
        func decoded(_ text: String) -> String { String(decoding: PathEscape.decoded(Array(text.utf8)), as: UTF8.self) }
        #expect(canonical("/caf\u{e9}/a b") == "/caf%C3%A9/a%20b")
        #expect(canonical("/%63af%c3%A9") == "/caf%C3%A9")
        #expect(canonical("/100%/50%x?#\\") == "/100%25/50%25x%3F%23%5C")
        #expect(decoded("/caf%C3%A9/a%2Fb%") == "/caf\u{e9}/a/b%")
        let kept = PathEscape.decoded(Array("/a%2Fb%5C%20".utf8), keepsSlashes: true)
        #expect(String(decoding: kept, as: UTF8.self) == "/a%2Fb%5C ")
    }
}
