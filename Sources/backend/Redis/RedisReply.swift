// What a Redis server answers (RESP2), and how the parts of an answer are taken out of it.
import Foundation

enum RedisReply: Sendable, Equatable {
    case status(String)
    /// Its own words.
    case error(String)
    case integer(Int64)
    case bytes(Data)
    case null
    case list([RedisReply])

    var text: String? {
        switch self {
        case .status(let text): text
        case .bytes(let bytes): String(decoding: bytes, as: UTF8.self)
        case .error, .integer, .null, .list: nil
        }
    }

    /// A number, whether it comes as one or in digits.
    var number: Int64? {
        switch self {
        case .integer(let number): number
        case .status, .bytes: text.flatMap(Int64.init)
        case .error, .null, .list: nil
        }
    }

    /// The elements of a list of at least `count`; throws for anything else.
    func elements(atLeast count: Int = 0) throws(RedisFailure) -> [RedisReply] {
        guard case .list(let elements) = self, elements.count >= count else { throw .unexpectedReply }
        return elements
    }

    func requireText() throws(RedisFailure) -> String {
        guard let text else { throw .unexpectedReply }
        return text
    }

    func requireNumber() throws(RedisFailure) -> Int64 {
        guard let number else { throw .unexpectedReply }
        return number
    }

    func requireBytes() throws(RedisFailure) -> Data {
        guard case .bytes(let bytes) = self else { throw .unexpectedReply }
        return bytes
    }
}
