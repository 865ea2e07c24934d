// Long values that arrive in Huffman's code, which is decoded before nghttp2 sees it.
import Bytes
import HTTP
import HTTP2
import SeededRandom
import Testing

struct FieldBlockTests {
    /// RFC 7541 appendix C.4 and C.6, and every letter of the shorter codes by the codes of appendix B.
    @Test(arguments: [
        ("f1e3c2e5f23a6ba0ab90f4ff", "www.example.com"), ("a8eb10649cbf", "no-cache"),
        ("25a849e95bb8e8b4bf", "custom-value"), ("6402", "302"), ("aec3771a4b", "private"),
        ("9d29ad171863c78f0b97c8e9ae82ae43d3", "https://www.example.com"), ("", ""),
        ("fe3fd7fd7f", "!'#"),
    ])
    func `codes of RFC 7541 are read`(code: String, text: String) {
        var out = ByteBuffer(capacity: 0)
        let isGood = HuffmanCode.decode(Self.bytes(code).span, to: &out)
        #expect(isGood && Self.text(out) == text)
    }

    @Test(arguments: [
        "f1e3c2e5f23a6ba0ab90f4",  // ends within a letter
        "f1e3c2e5f23a6ba0ab90f4ffff",  // more than seven bits behind the last one
        "18",  // "a", and no ones behind it
        "ff", "ffffffff",  // nothing but ones
        "fff9",  // a letter of more than twelve bits
    ])
    func `what is in no order, or rare, is left to nghttp2`(code: String) {
        var out = ByteBuffer(capacity: 0)
        let isGood = HuffmanCode.decode(Self.bytes(code).span, to: &out)
        #expect(!isGood)
    }

    /// The client is nghttp2's: it codes as it likes, with indexing and without.
    @Test(arguments: 0..<200)
    func `values arrive as they were sent, however long`(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let alphabet = Array(
            (seed % 4 == 3 ? "abc<{`~\\^ 012" : "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_. %")
                .utf8)
        let count = random.below(4000)
        let letters = (0..<count).map { _ in alphabet[random.below(alphabet.count)] }
        let value = "<" + String(decoding: letters, as: UTF8.self) + ">"
        let name = seed % 2 == 0 ? "authorization" : "x-long"
        let sent = try Self.coded("GET /x HTTP/1.1\r\nHost: a.test\r\n\(name): \(value)\r\nX-After: 1\r\n\r\n")
        var server = try Conversation()
        var start = 0
        while start < sent.count {
            // In one piece, and cut anywhere.
            let end = seed % 3 == 0 ? sent.count : min(sent.count, start + 1 + random.below(700))
            server.receive(Array(sent[start..<end]))
            start = end
        }
        let kind = seed % 2 == 0 ? "authorization" : "other"
        #expect(server.heads.first?.fields == ["host host=a.test", "\(kind) \(name)=\(value)", "other x-after=1"])
    }

    /// Tokens that begin alike, of one length and of many, in every order; some are sent again, most of them at once.
    @Test func `values that come again are those that were sent`() throws {
        let seed: UInt64 = 0x7541
        var random = SeededGenerator(seed: seed)
        let letters = Array("ABCDEFGHIJabcdefghij0123456789-_.".utf8)
        let stem = (0..<600).map { _ in letters[random.below(letters.count)] }
        let values = (0..<6).map { k in
            var value = stem + (0..<(k < 4 ? 9 : k * 1000)).map { _ in letters[random.below(letters.count)] }
            value[random.below(value.count)] = UInt8(ascii: "!")
            return String(decoding: value, as: UTF8.self)
        }
        guard var client = HTTP2ClientSession(streams: 1000) else { throw Conversation.NoMemory() }
        var server = try Conversation()
        var last = values[0]
        for k in 0..<90 {
            let value = random.below(3) == 0 ? values[random.below(values.count)] : last
            let other = values[random.below(values.count)]
            last = value
            let sent = Self.coded(
                "GET /\(k) HTTP/1.1\r\nHost: a.test\r\nAuthorization: \(value)\r\nX: \(other)\r\n\r\n", by: &client)
            server.receive(sent)
            let fields = ["host host=a.test", "authorization authorization=\(value)", "other x=\(other)"]
            #expect(server.heads.count == k + 1 && server.heads.last?.fields == fields, "seed \(seed), request \(k)")
        }
    }

    private static func coded(_ head: String) throws -> [UInt8] {
        guard var client = HTTP2ClientSession(streams: 1) else { throw Conversation.NoMemory() }
        return coded(head, by: &client)
    }
    private static func coded(_ head: String, by client: inout HTTP2ClientSession) -> [UInt8] {
        var fields = FieldList(), pool = BufferPool(), out = ByteQueue()
        fields.take(request: Array(head.utf8).span, scheme: "http")
        _ = client.begin(fields, owner: .none, hasBody: false, isHEAD: false, isOnUsed: false)
        _ = client.write(to: &out, upTo: 1 << 20, pool: &pool)
        var bytes: [UInt8] = []
        do {
            let all = out.bytes
            for i in all.indices { bytes.append(all[i]) }
        }
        out.release(to: &pool)
        return bytes
    }
    private static func bytes(_ hex: String) -> [UInt8] {
        let digits = Array(hex.utf8).map { $0 < 0x3a ? $0 - 0x30 : $0 - 0x57 }
        return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }
    private static func text(_ buffer: borrowing ByteBuffer) -> String {
        var bytes: [UInt8] = []
        let all = buffer.bytes
        for i in all.indices { bytes.append(all[i]) }
        return String(decoding: bytes, as: UTF8.self)
    }
}
