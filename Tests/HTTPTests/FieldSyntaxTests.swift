// Field lines: rows H06 to H09, and limits: row R07.
import Bytes
import Foundation
import HTTP
import Testing

struct FieldSyntaxTests {
    static let refused = [
        RefusedRequest("H06", request("GET / HTTP/1.1", "X: a", " b"), .foldedLine),
        RefusedRequest("H06", request("GET / HTTP/1.1", "X: a", "\tb: c"), .foldedLine),
        RefusedRequest("H06", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", .foldedLine),
        RefusedRequest("H07", "GET / HTTP/1.1\r\nHost: a\n\r\n", .lineEnd),
        RefusedRequest("H07", "GET / HTTP/1.1\r\nHost: a\r\n\n", .lineEnd),
        RefusedRequest("H07", "GET / HTTP/1.1\r\nHost: a\r\nX: b\nY: c\r\n\r\n", .lineEnd),
        RefusedRequest("H07", "GET / HTTP/1.1\r\nHost: a\r\nX: b\rY: c\r\n\r\n", .lineEnd),
        RefusedRequest("H07", "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\r\n\r\n", .lineEnd),
        RefusedRequest("H07", "GET / HTTP/1.1\r\nHost: a\r\n\rX: b\r\n\r\n", .lineEnd),
        RefusedRequest("H09", request("GET / HTTP/1.1", ": x"), .fieldName),
        RefusedRequest("H09", request("GET / HTTP/1.1", ":"), .fieldName),
        RefusedRequest("H09", request("GET / HTTP/1.1", "a b: x"), .fieldName),
        RefusedRequest("H09", request("GET / HTTP/1.1", "a : x"), .fieldName),
        RefusedRequest("H09", request("GET / HTTP/1.1", "a\t: x"), .fieldName),
        RefusedRequest("H09", request("GET / HTTP/1.1", "a(b): x"), .fieldName),
        RefusedRequest("H09", request("GET / HTTP/1.1", "(: x"), .fieldName),
        RefusedRequest("H09", request("GET / HTTP/1.1", "é: x"), .fieldName),
        RefusedRequest("H09", request("GET / HTTP/1.1", "nocolon"), .fieldName),
        RefusedRequest("H09", request("GET / HTTP/1.1", "\"a\": x"), .fieldName),
        RefusedRequest("H09", "GET / HTTP/1.1\r\nnocolon\r\nHost: a\r\n\r\n", .fieldName),
    ]
    @Test("H06, H07, H09: lines with another reading are refused", arguments: refused)
    func refuses(_ vector: RefusedRequest) { expectRefusal(vector) }

    static let controlBytes = (0...0x1f).filter { $0 != 9 && $0 != 10 && $0 != 13 } + [0x7f]
    @Test("H08: no control byte in a value, wherever it stands", arguments: controlBytes)
    func controls(_ byte: Int) {
        let control = String(UnicodeScalar(UInt8(byte)))
        for padding in 0..<20 {
            let value = String(repeating: "v", count: padding) + control + "w"
            expectRefusal(RefusedRequest("H08", request("GET / HTTP/1.1", "X: \(value)"), .fieldValue))
        }
        expectRefusal(RefusedRequest("H08", request("GET / HTTP/1.1", "X\(control): a"), .fieldName))
    }

    @Test("H08: HTAB and bytes from 0x80 pass in values", arguments: [9] + Array(0x80...0xff))
    func passed(_ byte: Int) {
        for padding in [1, 7, 15, 16, 30] {
            var bytes = Array("GET / HTTP/1.1\r\nHost: a\r\nX: ".utf8)
            let value = Array(repeating: UInt8(ascii: "v"), count: padding) + [UInt8(byte)] + Array("w".utf8)
            bytes += value + Array("\r\n\r\n".utf8)
            var head = RequestHead()
            #expect(head.parse(bytes.span, limits: HTTPLimits()) == .complete(bytes.count))
            let range = head.fields.value(at: 1)
            #expect(range.map { head.bytes[$0] } == value)
        }
    }

    @Test("every tchar may stand in a name, and no other byte", arguments: 0...255)
    func nameBytes(_ byte: Int) {
        let bytes = Array("GET / HTTP/1.1\r\nHost: a\r\nx".utf8) + [UInt8(byte)] + Array("y: b\r\n\r\n".utf8)
        let isToken =
            byte < 128
            && "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8.contains(
                UInt8(byte))
        let outcome = parse(bytes)
        // A colon ends the name: `x` with the value `y: b`.
        if byte == 0x3a { return #expect(outcome.head?.fields[1] == ["x", "y: b"]) }
        #expect((outcome.head != nil) == isToken)
    }

    @Test("blanks around a value are not part of it")
    func blanks() {
        let head = parse(request("GET / HTTP/1.1", "A:x", "B: \t x y \t", "C:", "D:   ")).head
        #expect(head?.fields == [["Host", "a"], ["A", "x"], ["B", "x y"], ["C", ""], ["D", ""]])
    }

    @Test("A01: how often a field occurs is known")
    func counts() {
        var head = RequestHead()
        let bytes = Array(request("GET / HTTP/1.1", "Authorization: a", "X: b", "authorization: c", "Cookie: d").utf8)
        #expect(head.parse(bytes.span, limits: HTTPLimits()) == .complete(bytes.count))
        #expect(head.count(of: .authorization) == 2)
        #expect(head.count(of: .cookie) == 1)
        #expect(head.count(of: .expect) == 0)
        #expect(head.value(of: .authorization).map { text(head.bytes, $0) } == "a")
        #expect(head.value(of: .expect) == nil)
        #expect(head.value(named: Array("x".utf8).span).map { text(head.bytes, $0) } == "b")
        #expect(head.value(named: Array("cookie".utf8).span).map { text(head.bytes, $0) } == "d")
        #expect(head.value(named: Array("y".utf8).span) == nil)
    }
}

struct HeadLimitTests {
    static let small = HTTPLimits(lineSize: 100, headSize: 400, fieldCount: 5)

    @Test("R07: a field line may be as long as the limit, not longer")
    func lineSize() {
        func line(_ count: Int) -> String { "X: " + String(repeating: "v", count: count - 3) }
        let (fits, disagreement) = parseCutEverywhere(
            Array(request("GET / HTTP/1.1", line(100)).utf8), limits: Self.small)
        #expect(disagreement == nil)
        #expect(fits.head != nil)
        expectRefusal(RefusedRequest("R07", request("GET / HTTP/1.1", line(101)), .fieldTooLong), limits: Self.small)
        expectRefusal(
            RefusedRequest("R07", "GET / HTTP/1.1\r\nHost: a\r\n" + line(102), .fieldTooLong), limits: Self.small)
        expectRefusal(
            RefusedRequest("R07", "GET / HTTP/1.1\r\nHost: a\r\n" + String(repeating: "n", count: 102), .fieldTooLong),
            limits: Self.small)
    }

    @Test("R07: a head may be as large as the limit, not larger")
    func headSize() {
        let limits = HTTPLimits(lineSize: 200, headSize: 400, fieldCount: 5)
        func head(_ count: Int) -> String {
            let short = request(
                "GET / HTTP/1.1", "A: ", "B: " + String(repeating: "b", count: 90),
                "C: " + String(repeating: "c", count: 90), "D: " + String(repeating: "d", count: 90))
            return short.replacingFirst("A: ", with: "A: " + String(repeating: "a", count: count - short.utf8.count))
        }
        let (fits, disagreement) = parseCutEverywhere(Array(head(400).utf8), limits: limits)
        #expect(disagreement == nil)
        #expect(fits.head != nil)
        let (empty, _) = parseCutEverywhere(Array(("\r\n" + head(400)).utf8), limits: limits)
        #expect(empty.head != nil)
        expectRefusal(RefusedRequest("R07", head(401), .headTooLarge), limits: limits)
        // Known before the end has come, whether at once or bit by bit.
        let unended = Array(head(420).utf8.prefix(399))
        #expect(parse(unended, limits: limits) == .incomplete)
        #expect(parse(unended + [UInt8(ascii: "y")], limits: limits) == .failed(.headTooLarge))
        let trickled = parse(unended + Array("yyy".utf8), limits: limits, cuts: Array(1..<402))
        #expect(trickled == .failed(.headTooLarge))
    }

    @Test("R07: as many fields as the limit, not more")
    func fieldCount() {
        let four = Array(repeating: "X: y", count: 4).joined(separator: "\r\n")
        #expect(parse(request("GET / HTTP/1.1", four), limits: Self.small).head?.fields.count == 5)
        expectRefusal(
            RefusedRequest("R07", request("GET / HTTP/1.1", four, "X: y"), .tooManyFields), limits: Self.small)
        let unended = "GET / HTTP/1.1\r\n" + String(repeating: "X: y\r\n", count: 7)
        expectRefusal(RefusedRequest("R07", unended, .tooManyFields), limits: Self.small)
    }

    @Test("R07: 200 fields, 64 KiB, a cookie of 40 KB against the defaults")
    func defaults() {
        let many = "GET / HTTP/1.1\r\n" + String(repeating: "X: y\r\n", count: 200) + "\r\n"
        expectRefusal(RefusedRequest("R07", many, .tooManyFields))
        let large = request("GET / HTTP/1.1", "Cookie: " + String(repeating: "c", count: 40_000))
        expectRefusal(RefusedRequest("R07", large, .fieldTooLong))
        let line = "A: " + String(repeating: "v", count: 15_000) + "\r\n"
        expectRefusal(RefusedRequest("R07", "GET / HTTP/1.1\r\n" + line + line + line + line + "\r\n", .headTooLarge))
        for error in [MessageError.tooManyFields, .fieldTooLong, .headTooLarge] { #expect(error.status == 431) }
    }

    @Test("more fields than there was room for are all kept")
    func growth() {
        let lines = (0..<99).map { "N\($0): v\($0)" }
        let head = parse(request("GET / HTTP/1.1", lines.joined(separator: "\r\n"))).head
        #expect(head?.fields.count == 100)
        #expect(head?.fields[99] == ["N98", "v98"])
    }

    @Test("a head that failed, waits or was cleared is empty, and is used again")
    func reuse() {
        var head = RequestHead(), pool = BufferPool(), out = ByteQueue()
        let large = Array(
            request("POST /a/../b?c HTTP/1.0", "A: " + String(repeating: "v", count: 12_000), "Content-Length: 5").utf8)
        let broken = Array(request("GET /b HTTP/1.1", "a b: c").utf8)
        let small = Array(request("GET /c HTTP/1.1").utf8)
        out.reserve(1000, &pool)
        for _ in 0..<3 {
            #expect(head.parse(large.span, limits: HTTPLimits()) == .complete(large.count))
            #expect(head.contentLength == 5 && head.wantsClose)
            #expect(head.parse(broken.span, limits: HTTPLimits()) == .failed(.fieldName))
            #expect(describe(head).fields.isEmpty && head.bytes.isEmpty && head.host.isEmpty && !head.wantsClose)
            #expect(head.parse(large.span, limits: HTTPLimits()) == .complete(large.count))
            #expect(head.parse(small.span.extracting(0..<small.count - 1), limits: HTTPLimits()) == .incomplete)
            head.writeRequestLine(replacingPathPrefix: 1, with: small.span.extracting(4..<6), to: &out)
            #expect(head.parse(small.span, limits: HTTPLimits()) == .complete(small.count))
            #expect(describe(head) == parse(small).head)
            head.clear()
            #expect(head.value(of: .host) == nil && head.targetRange.isEmpty && head.framing == BodyFraming.none)
            out.consume(out.count)
        }
        out.release(to: &pool)
    }

    @Test("a head that trickles in costs linear time", .timeLimit(.minutes(1)))
    func linear() {
        let lines = (0..<80).map { "N\($0): " + String(repeating: "v", count: 390) }
        let bytes = Array(request("GET / HTTP/1.1", lines.joined(separator: "\r\n")).utf8)
        #expect(bytes.count > 31_000)
        let clock = ContinuousClock()
        var outcome = Outcome.incomplete
        let whole = (0..<5).map { _ in clock.measure { outcome = parse(bytes) } }.min() ?? .zero
        #expect(outcome.head != nil)
        let trickle = clock.measure { outcome = parse(bytes, cuts: Array(1..<bytes.count)) }
        #expect(outcome.head != nil)
        // Parsed anew at every byte it would be about 16 000 times the whole; the bound leaves room for 32 000 calls.
        #expect(trickle < whole * 500 + .seconds(1))
    }
}

extension String {
    func replacingFirst(_ old: String, with new: String) -> String {
        guard let range = range(of: old) else { return self }
        return replacingCharacters(in: range, with: new)
    }
}
