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

    /// What `fieldLine` must answer, byte by byte: name end, value, value end, next line.
    static func fieldLine(_ bytes: [UInt8], from start: Int) -> [Int]? {
        let rest = bytes[start...]
        guard let colon = rest.firstIndex(where: { !tokens.contains($0) }), colon > start, bytes[colon] == 0x3a,
            let end = bytes[(colon + 1)...].firstIndex(where: { !isValue($0) }), bytes[end...].starts(with: [13, 10])
        else { return nil }
        let isBlank = { (byte: UInt8) in byte == 0x20 || byte == 9 }
        let value = bytes[(colon + 1)..<end].firstIndex { !isBlank($0) } ?? end
        let valueEnd = bytes[value..<end].lastIndex { !isBlank($0) }.map { $0 + 1 } ?? value
        return [colon, value, valueEnd, end + 2]
    }

    @Test("a field line is the same in one step and byte by byte")
    func fieldLines() {
        var random = Random()
        let alphabet: [UInt8] = Array("aZ09-_:. \t~#".utf8) + [0, 10, 13, 0x7f, 0x80, 0xff]
        var found = 0
        for _ in 0..<6000 {
            var bytes = (0..<random.below(24)).map { _ in UInt8(ascii: "n") } + [0x3a]
            bytes += (0..<random.below(3)).map { _ in random.below(4) == 0 ? 9 : 0x20 }
            bytes += (0..<random.below(200)).map { _ in UInt8(ascii: "v") }
            bytes += (0..<random.below(3)).map { _ in random.below(4) == 0 ? 9 : 0x20 }
            bytes += [13, 10] + Array("next: line\r\n\r\n".utf8.prefix(random.below(17)))
            for _ in 0..<random.below(3) { bytes[random.below(bytes.count)] = alphabet[random.below(alphabet.count)] }
            let start = random.below(4) == 0 ? random.below(bytes.count + 1) : 0
            let line = bytes.span.fieldLine(from: start)
            let expected = Self.fieldLine(bytes, from: start)
            let message: Comment = "seed \(random.seed), \(bytes), from \(start)"
            #expect(line.map { [$0.nameEnd, $0.value, $0.valueEnd, $0.next] } == expected, message)
            #expect(line?.hasUnderscore == expected.map { bytes[start..<$0[0]].contains(0x5f) }, message)
            if expected != nil { found += 1 }
        }
        #expect(found > 1000)
    }

    @Test("the end of a host name, with any bytes behind it")
    func hosts() {
        var random = Random()
        let alphabet = Array("....--__~~:/@%[]\u{0}\u{7f}\u{e9}`{^,".utf8)
        let plain = Array("azAZ09-_~".utf8)
        for _ in 0..<4000 {
            let bytes = (0..<random.below(80)).map { _ in
                random.below(12) == 0 ? alphabet[random.below(alphabet.count)] : plain[random.below(plain.count)]
            }
            let start = random.below(bytes.count + 1)
            let end = start + random.below(bytes.count - start + 1)
            let expected = (start..<end).first { i in
                bytes[i] == 0x2e
                    ? i == start || bytes[i - 1] == 0x2e
                    : !(Self.tokens.contains(bytes[i]) && !"!#$%&'*+^`|".utf8.contains(bytes[i]))
            }
            let message: Comment = "seed \(random.seed), \(bytes), \(start)..<\(end)"
            #expect(bytes.span.endOfHost(from: start, to: end) == expected ?? end, message)
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
