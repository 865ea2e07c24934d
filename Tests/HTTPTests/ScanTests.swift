// The vector scans against loops over single bytes, at every place and alignment.
import Bytes
import Testing

struct ScanTests {
    static let tokens = Array("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8)

    static func isValue(_ byte: UInt8) -> Bool { byte == 9 || byte >= 0x20 && byte != 0x7f }
    static func isTarget(_ byte: UInt8) -> Bool { byte > 0x20 && byte < 0x7f && byte != UInt8(ascii: "#") }

    @Test("every byte ends a scan or does not", arguments: 0...255)
    func everyByte(_ value: Int) {
        let byte = UInt8(value)
        for count in [1, 15, 16, 17, 63, 64, 65, 130] {
            for at in Set([0, 1, count / 2, count - 1]) where at < count {
                var bytes = Array(repeating: UInt8(ascii: "a"), count: count)
                bytes[at] = byte
                let span = bytes.span
                let ends = [span.endOfValue(from: 0), span.endOfTarget(from: 0), span.endOfToken(from: 0)]
                let passes = [Self.isValue(byte), Self.isTarget(byte), Self.tokens.contains(byte)]
                #expect(ends == passes.map { $0 ? count : at })
                let name = span.endOfName(from: 0)
                let line = span.endOfLine(from: 0)
                #expect(name.end == (Self.tokens.contains(byte) ? count : at))
                #expect(name.hasUnderscore == (byte == UInt8(ascii: "_")))
                #expect(line == (byte == 10 ? at : count))
            }
        }
    }

    @Test("random bytes, from every start")
    func random() {
        var random = Random()
        let alphabet: [UInt8] = Array("aZ09-_:. \t~#".utf8) + [0, 10, 13, 0x7f, 0x80, 0xff]
        for _ in 0..<60 {
            // Mostly plain, so that scans get far.
            let bytes = (0..<random.below(200)).map { _ in
                random.below(20) == 0 ? alphabet[random.below(alphabet.count)] : UInt8(ascii: "b")
            }
            let span = bytes.span
            for start in 0...bytes.count {
                let rest = bytes[start...]
                let message: Comment = "seed \(random.seed), \(bytes), from \(start)"
                let token = rest.firstIndex { !Self.tokens.contains($0) } ?? bytes.count
                let expected = [
                    rest.firstIndex { !Self.isValue($0) } ?? bytes.count,
                    rest.firstIndex { !Self.isTarget($0) } ?? bytes.count, token,
                    rest.firstIndex(of: 10) ?? bytes.count, token,
                ]
                let name = span.endOfName(from: start)
                let found = [
                    span.endOfValue(from: start), span.endOfTarget(from: start), span.endOfToken(from: start),
                    span.endOfLine(from: start), name.end,
                ]
                #expect(found == expected, message)
                #expect(name.hasUnderscore == bytes[start..<token].contains(0x5f), message)
            }
        }
    }

    @Test("literals are compared with and without case")
    func literals() {
        let bytes = Array("xContent-LengthCHUNKED".utf8)
        let folds = [
            bytes.span.folds(1, to: "content-length"), bytes.span.folds(15, to: "chunked"),
            bytes.span.folds(0, to: "content-length"),
        ]
        #expect(folds == [true, true, false])
        let matches = [
            bytes.span.matches(1, "Content-Length"), bytes.span.matches(1, "content-length"),
            bytes.span.matches(15, "CHUNKED!"), bytes.span.matches(-1, "x"),
        ]
        #expect(matches == [true, false, false, false])
        #expect(isTokenCharacter(UInt8(ascii: "~")) && !isTokenCharacter(UInt8(ascii: ":")))
    }
}
