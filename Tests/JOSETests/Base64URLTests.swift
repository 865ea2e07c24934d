// Base64url has one text for each value, and takes no other.
import Bytes
import Testing

private func decode(_ text: String) -> [UInt8]? {
    var buffer = ByteBuffer(capacity: 1)
    guard Base64URL.decode(Array(text.utf8).span, into: &buffer) else { return nil }
    let bytes = buffer.bytes
    return bytes.indices.map { bytes[$0] }
}

@Suite struct Base64URLTests {
    /// RFC 4648 section 10, without padding.
    @Test(arguments: [
        ("", ""), ("Zg", "f"), ("Zm8", "fo"), ("Zm9v", "foo"), ("Zm9vYg", "foob"), ("Zm9vYmE", "fooba"),
        ("Zm9vYmFy", "foobar"),
    ])
    func vectors(_ text: String, _ value: String) {
        #expect(decode(text) == Array(value.utf8))
        #expect(Base64URL.encode(Array(value.utf8).span) == text)
    }

    @Test func usesTheURLAlphabet() {
        #expect(decode("-_-_") == [0xfb, 0xff, 0xbf])
        #expect(Base64URL.encode([0xfb, 0xff, 0xbf].span) == "-_-_")
    }

    /// J07, J08
    @Test(arguments: [
        "Zg==", "Zg=", "+/+/", "Zm9v=", "Z", "Zm9vY", "Zh", "Zm9", "Zm8\n", "Zm 9v", "Zm9v\u{0}", "é", "Zm9v.", "Zn",
        "Zm-",
    ])
    func refuses(_ text: String) { #expect(decode(text) == nil) }

    /// Of all texts of two and three characters, exactly those of canonical form stand for something.
    @Test func everyShortTextIsCanonicalOrRefused() {
        var found = 0
        for a in UInt8.min...UInt8.max {
            for b in UInt8.min...UInt8.max {
                var buffer = ByteBuffer(capacity: 4)
                guard Base64URL.decode([a, b].span, into: &buffer) else { continue }
                found += 1
                let text = Base64URL.encode(buffer.bytes)
                #expect(Array(text.utf8) == [a, b])
            }
        }
        #expect(found == 256)
    }

    /// Every byte at every place of a text that is decoded in large steps and small ones.
    @Test func everyByteAtEveryPlace() {
        let digits = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        for place in 0..<36 {
            for byte in UInt8.min...UInt8.max {
                var text = Array("abcdefghijklmnopqrstuvwxyz0123456789".utf8)
                text[place] = byte
                var buffer = ByteBuffer(capacity: 1)
                let isDecoded = Base64URL.decode(text.span, into: &buffer)
                #expect(isDecoded == digits.contains(byte))
                if isDecoded { #expect(Array(Base64URL.encode(buffer.bytes).utf8) == text) }
            }
        }
    }

    @Test func roundTrips() {
        for count in 0..<70 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 89 &+ count) }
            #expect(decode(Base64URL.encode(bytes.span)) == bytes)
        }
    }
}
