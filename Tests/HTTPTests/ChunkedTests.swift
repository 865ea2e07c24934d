// Bodies: rows H10 to H13, and every other framing.
import Bytes
import HTTP
import Testing

enum BodyOutcome: Equatable {
    case end(String, rest: String)
    case incomplete(String)
    case malformed(MessageError)
}

/// Decodes as a connection does: the front of what has come, consumed part by part; `cuts` are where it comes in pieces.
func decode(
    _ bytes: [UInt8], _ framing: BodyFraming = .chunked, length: Int64 = 0, cuts: [Int] = []
) -> BodyOutcome {
    var decoder = BodyDecoder(framing, length: length)
    var data: [UInt8] = []
    var i = 0
    for limit in cuts + [bytes.count] {
        piece: while true {
            switch decoder.next(bytes.span.extracting(i..<limit)) {
            case .data(let n):
                data += bytes[i..<i + n]
                i += n
            case .skip(let n), .trailer(let n): i += n
            case .end:
                #expect(decoder.isFinished)
                return .end(String(decoding: data, as: UTF8.self), rest: String(decoding: bytes[i...], as: UTF8.self))
            case .incomplete: break piece
            case .malformed(let error): return .malformed(error)
            }
        }
        #expect(i == limit)
    }
    return .incomplete(String(decoding: data, as: UTF8.self))
}

/// Whole, byte by byte and at random cuts; all must agree.
func decodeCutEverywhere(_ text: String, _ framing: BodyFraming = .chunked, length: Int64 = 0) -> BodyOutcome {
    let bytes = Array(text.utf8)
    let whole = decode(bytes, framing, length: length)
    var random = Random()
    for cuts in [Array(0..<bytes.count)] + (0..<10).map({ _ in random.cuts(of: bytes.count) }) {
        let cut = decode(bytes, framing, length: length, cuts: cuts)
        #expect(cut == whole, "seed \(random.seed), cuts \(cuts.prefix(40))")
    }
    return whole
}

struct ChunkedTests {
    @Test(
        "chunks become data, whatever their case and zeros",
        arguments: [
            ("0\r\n\r\n", ""), ("5\r\nhello\r\n0\r\n\r\n", "hello"), ("A\r\n0123456789\r\n000\r\n\r\n", "0123456789"),
            ("a\r\n0123456789\r\n1\r\nx\r\n0\r\n\r\n", "0123456789x"), ("00005\r\nhello\r\n0\r\n\r\n", "hello"),
            ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n"),
        ])
    func data(_ body: String, _ data: String) {
        #expect(decodeCutEverywhere(body + "GET /") == .end(data, rest: "GET /"))
    }

    @Test(
        "H10: malformed sizes",
        arguments: [
            "\r\n", "\r\n\r\n", "0x10\r\n", "+5\r\n", " 5\r\n", "5 \r\n", "5\t\r\n", "-1\r\n", "g\r\n", ";a\r\n",
            "5,\r\n",
            "5\u{b}\r\n", "ffffffffffffffff\r\n", "8000000000000000\r\n", "00000000000000005\r\n",
            "10000000000000000\r\n",
            "5\0\r\n", "é\r\n", "1_0\r\n",
        ])
    func sizes(_ line: String) {
        let outcome = decodeCutEverywhere(line + "hello\r\n0\r\n\r\n")
        #expect(outcome == .malformed(.chunkSize) || outcome == .malformed(.chunkExtension))
        #expect(decodeCutEverywhere("1\r\nx\r\n" + line + "hello\r\n0\r\n\r\n") == outcome)
    }

    @Test("H10: the largest size is taken, its data is awaited")
    func largest() {
        #expect(decodeCutEverywhere("7fffffffffffffff\r\nab") == .incomplete("ab"))
        #expect(decodeCutEverywhere("0000000000000001\r\nab") == .malformed(.chunkEnd))
    }

    @Test(
        "H11: extensions are checked and dropped",
        arguments: [
            ";a", ";a=b", ";a=\"b\"", ";a=\"\"", ";a=\"x;y\\\"z\\\\\"", "; a", " ;a", "\t; a = b", ";a ;b",
            ";a=b;c=\"d\" ; e",
            ";a=\"\t é\"", ";a = \"b\"",
        ])
    func extensions(_ text: String) {
        #expect(decodeCutEverywhere("5\(text)\r\nhello\r\n0\(text)\r\n\r\n") == .end("hello", rest: ""))
    }

    @Test(
        "H11: extensions with another reading are refused",
        arguments: [
            ";", ";;", ";a;", ";=b", ";a=", ";a==b", ";a=b=c", ";a=\"b", ";a=\"b\"c", ";a=\"b\\", ";a=\"b\n\"",
            ";a=\"b\r\n\"",
            ";a=\"\\\n\"", ";a\n", ";\n", ";a=b\u{b}", ";a b", ";a=b c", ";a(b", ";a=\"\0\"", ";a\u{7f}", ";\"a\"",
            ";a=b\"c\"",
        ])
    func refusedExtensions(_ text: String) {
        let outcome = decodeCutEverywhere("5\(text)\r\nhello\r\n0\r\n\r\n")
        #expect(outcome == .malformed(.chunkExtension) || outcome == .malformed(.chunkSize))
    }

    @Test("H11: an extension may have 256 bytes, a body 4 KiB of them")
    func budgets() {
        func chunk(_ overhead: Int) -> String { "1;" + String(repeating: "a", count: overhead) + "\r\nx\r\n" }
        #expect(decodeCutEverywhere(chunk(255) + "0\r\n\r\n") == .end("x", rest: ""))
        #expect(decodeCutEverywhere(chunk(256) + "0\r\n\r\n") == .malformed(.chunkExtension))
        let many = String(repeating: chunk(255), count: 16)
        #expect(decodeCutEverywhere(many + "0\r\n\r\n") == .end(String(repeating: "x", count: 16), rest: ""))
        #expect(decodeCutEverywhere(many + "1;a\r\nx\r\n0\r\n\r\n") == .malformed(.chunkOverhead))
        let zeros = String(repeating: "0000000000000001\r\nx\r\n", count: 280)
        #expect(decodeCutEverywhere(zeros) == .malformed(.chunkOverhead))
    }

    @Test(
        "H07: bare line feeds and returns in the framing",
        arguments: [
            "5\nhello\r\n0\r\n\r\n", "5\r\nhello\n0\r\n\r\n", "5\r\nhello\r\n0\n\r\n", "5\r\nhello\r\n0\r\n\n",
            "5\rhello\r\n0\r\n\r\n",
            "5\r\nhello\r0\r\n\r\n", "0\r\nA: b\n\r\n", "0\r\nA: b\rc\r\n\r\n", "0\r\n\rx",
        ])
    func bareEnds(_ body: String) {
        guard case .malformed = decodeCutEverywhere(body) else {
            Issue.record("accepted")
            return
        }
    }

    @Test("H12: data that is longer than its chunk, or a body without its end")
    func cutShort() {
        #expect(decodeCutEverywhere("5\r\nhello!\r\n0\r\n\r\n") == .malformed(.chunkEnd))
        #expect(decodeCutEverywhere("5\r\nhelloX0\r\n\r\n") == .malformed(.chunkEnd))
        let whole = "5\r\nhello\r\n0;a=\"b\"\r\nX: y\r\n\r\n"
        for count in 0..<whole.utf8.count {
            guard case .incomplete = decode(Array(whole.utf8.prefix(count))) else {
                Issue.record("\(count) bytes seem whole")
                return
            }
        }
        #expect(decode(Array(whole.utf8)) == .end("hello", rest: ""))
    }

    @Test(
        "H13: trailers are checked and dropped",
        arguments: [
            "Content-Length: 5", "Authorization: Bearer x", "X-Auth-Subject: root", "Host: b", "X:", "grpc-status:0",
            "a: \té", "Transfer-Encoding: chunked",
        ])
    func trailers(_ line: String) {
        #expect(decodeCutEverywhere("1\r\nx\r\n0\r\n\(line)\r\nA: b\r\n\r\nrest") == .end("x", rest: "rest"))
    }

    @Test(
        "H13: malformed trailers are refused",
        arguments: [
            " a: b", "a b: c", "nocolon", ": b", "a : b", "a: b\0", "a: b\u{7f}", "é: b", "a: b\r\n c",
        ])
    func refusedTrailers(_ line: String) {
        #expect(decodeCutEverywhere("0\r\n\(line)\r\n\r\n") == .malformed(.trailer))
    }

    @Test("H13: trailers have a limit")
    func trailerSize() {
        let line = "A: " + String(repeating: "b", count: 995) + "\r\n"
        #expect(decodeCutEverywhere("0\r\n" + String(repeating: line, count: 8) + "\r\n") == .end("", rest: ""))
        #expect(decodeCutEverywhere("0\r\n" + String(repeating: line, count: 9)) == .malformed(.trailerTooLarge))
    }
}

struct BodyFramingTests {
    @Test("a length is counted, and what follows is not touched")
    func length() {
        #expect(decodeCutEverywhere("hello rest", .length, length: 5) == .end("hello", rest: " rest"))
        #expect(decodeCutEverywhere("hell", .length, length: 5) == .incomplete("hell"))
        #expect(decodeCutEverywhere("x", .length, length: 0) == .end("", rest: "x"))
    }

    @Test("no body is over at once; a body until the close never is")
    func others() {
        #expect(decodeCutEverywhere("x", BodyFraming.none) == .end("", rest: "x"))
        #expect(decodeCutEverywhere("abc", .untilClose) == .incomplete("abc"))
        #expect(BodyDecoder(.untilClose, length: 0).isUntilClose)
        #expect(!BodyDecoder(.untilClose, length: 0).isFinished)
        #expect(BodyDecoder(.length, length: 0).isFinished)
        #expect(!BodyDecoder(.chunked, length: 0).isFinished)
    }

    static let sizes = [1, 9, 15, 16, 255, 4096, 70_000]
    @Test("what the encoder writes the decoder reads", arguments: sizes)
    func roundTrip(_ size: Int) {
        let data = (0..<size).map { UInt8(ascii: "a") + UInt8($0 % 26) }
        var pool = BufferPool(), out = ByteQueue()
        let encoder = BodyEncoder(.chunked)
        encoder.write(data.span, to: &out, &pool)
        encoder.write([UInt8]().span, to: &out, &pool)
        encoder.write(data.span, to: &out, &pool)
        encoder.writeEnd(to: &out, &pool)
        let text = String(decoding: data, as: UTF8.self)
        #expect(decode(written(out)) == .end(text + text, rest: ""))
        out.release(to: &pool)
    }

    @Test("other framings are written as they are")
    func plain() {
        for framing in [BodyFraming.length, .untilClose] {
            var pool = BufferPool(), out = ByteQueue()
            BodyEncoder(framing).write(Array("abc".utf8).span, to: &out, &pool)
            BodyEncoder(framing).writeEnd(to: &out, &pool)
            #expect(written(out) == Array("abc".utf8))
            out.release(to: &pool)
        }
    }
}

func written(_ queue: borrowing ByteQueue) -> [UInt8] {
    let bytes = queue.bytes
    return (0..<bytes.count).map { bytes[$0] }
}
