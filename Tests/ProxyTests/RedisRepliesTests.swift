// Replies of a Redis server, whole and in pieces, and what a server may not say.
import Bytes
import Testing

@testable import Proxy

@Suite struct RedisRepliesTests {
    private static let message = "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$4\r\n{\r\n}\r\n"
    private static let texts = [Array("message".utf8), Array("a".utf8), Array("{\r\n}".utf8)]

    /// Every reply in the text, fed in pieces of that size.
    private func read(_ text: String, size: Int = .max) throws -> [RedisReply] {
        guard var replies = RedisReplies() else { throw ConnectionFailure(text: "no memory") }
        var found: [RedisReply] = []
        let bytes = Array(text.utf8)
        var start = 0
        while start < bytes.count {
            let end = min(bytes.count, start + min(size, bytes.count))
            let piece = Array(bytes[start..<end])
            let isFed = replies.feed(piece.span)
            #expect(isFed)
            while let reply = try replies.next() { found.append(reply) }
            start = end
        }
        return found
    }

    @Test(arguments: [1, 2, 7, Int.max]) func inPieces(_ size: Int) throws {
        let text = "+OK\r\n" + Self.message + ":5\r\n-ERR no\r\n*2\r\n$4\r\npong\r\n$0\r\n\r\n" + Self.message
        #expect(
            try read(text, size: size) == [
                .status, .texts(Self.texts), .other, .error("ERR no"), .texts([Array("pong".utf8), []]),
                .texts(Self.texts),
            ])
    }

    @Test func anIntegerInAListIsEmpty() throws {
        #expect(
            try read("*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n") == [
                .texts([Array("subscribe".utf8), Array("a".utf8), []])
            ])
    }

    @Test(arguments: ["HTTP/1.1 200 OK\r\n", "*2000000000\r\n", "*65\r\n", "*-7\r\n", "$x\r\n"])
    func whatIsNoReply(_ text: String) {
        #expect(throws: ConnectionFailure.self) { try read(text) }
    }

    @Test func bounded() throws {
        guard var replies = RedisReplies() else { throw ConnectionFailure(text: "no memory") }
        let head = Array("$2000000000\r\n".utf8), piece = [UInt8](repeating: 0x78, count: 1 << 20)
        var isFed = replies.feed(head.span)
        #expect(isFed)
        var count = 0
        while isFed, count < 10 {
            isFed = replies.feed(piece.span)
            count += 1
        }
        #expect(count <= 5)
    }

    @Test func commands() {
        #expect(RevocationChannel.command(["PING", "é"]) == Array("*2\r\n$4\r\nPING\r\n$2\r\né\r\n".utf8))
    }

    @Test func spelling() {
        #expect(RevocationFeed.encoded("a-b._~ é%/") == "a-b._~%20%C3%A9%25%2F")
        #expect(RevocationFeed.base64(Array("gw:s".utf8)) == "Z3c6cw==")
        #expect(RevocationFeed.base64([0xfb, 0xff]) == "+/8=")
    }

    @Test func pausesGrowAndDiffer() {
        var backoff = Backoff()
        for longest: Int32 in [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000] {
            let pause = backoff.nextMilliseconds()
            #expect(pause >= longest / 2 && pause <= longest)
        }
        backoff.succeeded()
        let pause = backoff.nextMilliseconds()
        #expect(pause <= 1000)
    }
}
