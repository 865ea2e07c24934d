// A command as Redis reads it: a list of words, each with its length, so that no word can become two (RESP).
import Foundation
import NIOCore

struct RedisCommand: Sendable {
    /// One word: text, bytes or a number in digits.
    enum Word: Sendable, ExpressibleByStringLiteral {
        case text(String)
        case bytes(Data)
        case number(Int64)

        init(stringLiteral text: String) { self = .text(text) }
    }

    let bytes: ByteBuffer

    init(_ words: [Word]) {
        var bytes = ByteBuffer()
        bytes.writeString("*\(words.count)\r\n")
        for word in words {
            switch word {
            case .text(let text): Self.write(text, to: &bytes)
            case .number(let number): Self.write("\(number)", to: &bytes)
            case .bytes(let data):
                bytes.writeString("$\(data.count)\r\n")
                bytes.writeBytes(data)
                bytes.writeString("\r\n")
            }
        }
        self.bytes = bytes
    }

    private static func write(_ text: String, to bytes: inout ByteBuffer) {
        bytes.writeString("$\(text.utf8.count)\r\n")
        bytes.writeString(text)
        bytes.writeString("\r\n")
    }
}
