// Cookies that do not travel, row A15: they go, and the rest stays byte for byte.
import Bytes
import HTTP
import Testing

struct CookieTests {
    private static func kept(
        _ lines: [String], stripping cookies: [String] = ["__Host-refresh", "old"], dropping names: [FieldName] = [],
        custom: [String] = []
    ) -> [String] {
        let bytes = Array((["GET / HTTP/1.1", "Host: h"] + lines + ["", ""]).joined(separator: "\r\n").utf8)
        var head = RequestHead(), pool = BufferPool(), out = ByteQueue()
        #expect(head.parse(bytes.span, limits: HTTPLimits()) == .complete(bytes.count))
        let filter = FieldFilter(
            dropping: FieldSet(names), custom: custom.map { Array($0.utf8) }, cookies: cookies.map { Array($0.utf8) })
        out.reserve(bytes.count, &pool)
        head.writeFields(dropping: filter, to: &out)
        let text = String(decoding: written(out), as: UTF8.self)
        out.release(to: &pool)
        #expect(text.hasSuffix("\r\n"))
        return text.split(separator: "\r\n").map(String.init).filter { $0 != "Host: h" }
    }

    @Test(
        arguments: [
            ("__Host-refresh=r", nil), ("a=1; __Host-refresh=r", "a=1"), ("__Host-refresh=r; a=1", "a=1"),
            ("a=1; __Host-refresh=r; b=2", "a=1; b=2"), ("a=1;__Host-refresh=r;b=2", "a=1;b=2"),
            ("old=x; __Host-refresh=r", nil), ("old=x; a=1; __Host-refresh=r; old=y; b=2; old=", "a=1; b=2"),
            // as it came
            ("a=1;  b=\"x y\";c", "a=1;  b=\"x y\";c"), ("a=1; b=2;", "a=1; b=2;"), ("a=b=c; d", "a=b=c; d"),
            ("a=1; ; b=2", "a=1; ; b=2"), ("a=\u{e9}\u{ff}", "a=\u{e9}\u{ff}"),
            // other names: of another case, longer, shorter, in a value
            ("__host-refresh=r", "__host-refresh=r"), ("__Host-refresh2=r", "__Host-refresh2=r"),
            ("_Host-refresh=r; Old=x", "_Host-refresh=r; Old=x"), ("a=__Host-refresh=r", "a=__Host-refresh=r"),
            ("a=\"old=1\"", "a=\"old=1\""), ("olds=1; hold=2", "olds=1; hold=2"),
            // as servers read it
            ("a=1; old =x", "a=1"), ("a=0; \told\t= x ; a=1", "a=0; a=1"), ("old", nil), ("a=1; old", "a=1"),
            ("old=\"a b\"; c=d", "c=d"),
            ("=old", "=old"), ("old=r;", nil), (" ; old=r; ;", nil), ("old=r; ; a=1", "a=1"), ("", nil),
        ] as [(String, String?)])
    func `A15 what is stripped goes, the rest stays as it is`(value: String, expected: String?) {
        #expect(
            Self.kept(["A: 1", "Cookie: \(value)", "B: 2"]) == ["A: 1"] + (expected.map { ["Cookie: \($0)"] } ?? []) + [
                "B: 2"
            ])
    }

    @Test func `each of several fields is looked at, where it stands`() {
        #expect(
            Self.kept(["cookie: a=1; old=2", "X: 1", "COOKIE: old=3", "Y: 2", "Cookie:b=4; old=5"]) == [
                "cookie: a=1", "X: 1", "Y: 2", "Cookie:b=4",
            ])
    }

    @Test func `without names to strip a field is not touched`() {
        #expect(Self.kept(["Cookie: ;; a=1;old=2; "], stripping: []) == ["Cookie: ;; a=1;old=2; "])
    }

    @Test func `random fields are left as a plain reading leaves them`() {
        var random = Random()
        let pieces = [
            "a", "old", "__Host-refresh", "=", "=", ";", ";", "; ", " ", "\t", "\"", "x=1", "old=2", ",", "OLD",
        ]
        for _ in 0..<3000 {
            let value = (0..<1 + random.below(12)).map { _ in pieces[random.below(pieces.count)] }.joined()
            let line = "Cookie: x=y" + value
            let parts = ("x=y" + value).split(separator: ";", omittingEmptySubsequences: false)
            let left = parts.filter { part in
                let name = part.prefix { $0 != "=" }.trimmingBlanks
                return name != "old" && name != "__Host-refresh"
            }
            let first = left.first.map { ["Cookie: " + $0.drop { $0 == " " || $0 == "\t" }] } ?? []
            let expected = (first + left.dropFirst().map(String.init)).joined(separator: ";")
            // Blanks that end the whole value belong to the line, not to a cookie.
            let found = Self.kept([line]).first ?? ""
            #expect(found.trimmingBlanks == expected.trimmingBlanks, "seed \(random.seed): \(line.debugDescription)")
        }
    }

    @Test func `a field that goes whole comes not back in part`() {
        #expect(Self.kept(["Cookie: a=1; old=2"], dropping: [.cookie]).isEmpty)
        #expect(Self.kept(["Cookie: a=1; old=2"], custom: ["Cookie"]).isEmpty)
        #expect(Self.kept(["Connection: cookie", "Cookie: a=1; old=2"]).isEmpty)
    }
}

extension StringProtocol {
    fileprivate var trimmingBlanks: String {
        var text = self[...]
        while let first = text.first, first == " " || first == "\t" { text = text.dropFirst() }
        while let last = text.last, last == " " || last == "\t" { text = text.dropLast() }
        return String(text)
    }
}
