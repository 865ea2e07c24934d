// What the writer writes, the reader reads as the same.
import Bytes
import JSON
import Testing

@Suite struct JSONWriterTests {
    private func text(_ writer: borrowing JSONWriter) -> [UInt8] {
        let bytes = writer.buffer.bytes
        return bytes.indices.map { bytes[$0] }
    }

    @Test func writesCommasAndNesting() {
        var writer = JSONWriter()
        writer.beginObject()
        writer.name("a")
        writer.integer(-1)
        writer.name("b")
        writer.beginArray()
        writer.string("x")
        writer.boolean(true)
        writer.beginObject()
        writer.endObject()
        writer.endArray()
        writer.name("c")
        writer.boolean(false)
        writer.endObject()
        #expect(String(decoding: text(writer), as: UTF8.self) == #"{"a":-1,"b":["x",true,{}],"c":false}"#)
    }

    @Test func everyByteComesBackOrIsReplaced() throws {
        for byte in UInt8.min...UInt8.max {
            var writer = JSONWriter()
            writer.string([0x61, byte, 0x62].span)
            let expected = byte < 0x80 ? "a\(Character(UnicodeScalar(byte)))b" : "a\u{fffd}b"
            #expect(try events(text(writer)) == ["'\(expected)'"])
        }
    }

    @Test func keepsScalarsOfEveryLength() throws {
        var writer = JSONWriter()
        writer.string("é€😀\"\\\u{1f}\u{10ffff}")
        #expect(try events(text(writer)) == ["'é€😀\"\\\u{1f}\u{10ffff}'"])
    }
}
