// Replies out of the bytes that come, read by hiredis. Owns one reader and frees it in deinit; each reply is copied and
// freed within the call that reads it.
import CHiredis
import Foundation
import NIOCore

@safe struct RedisReplyReader: ~Copyable {
    /// Bytes of one reply; a page of revocations is the largest that we ask for.
    private static let replyLimitBytes = 16 << 20
    /// Elements of one list.
    private static let elementLimit: CInt = 100_000

    private let reader: UnsafeMutablePointer<redisReader>

    /// Nil: there is no memory.
    init?() {
        guard let made = unsafe ch_reader(Self.elementLimit) else { return nil }
        unsafe reader = unsafe made
    }

    deinit { unsafe ch_free(reader) }

    /// Takes bytes up; throws when they are more than a reply may be.
    mutating func feed(_ bytes: ByteBuffer) throws(RedisFailure) {
        let isFed = unsafe bytes.withUnsafeReadableBytes { raw in
            unsafe redisReaderFeed(reader, raw.baseAddress?.assumingMemoryBound(to: CChar.self), raw.count) == 0
        }
        guard isFed, unsafe ch_pending(reader) <= Self.replyLimitBytes else {
            throw .unreachable("an answer is too large")
        }
    }

    /// The next whole reply; nil when more bytes are needed. Throws when the bytes are not the protocol.
    mutating func next() throws(RedisFailure) -> RedisReply? {
        var object: UnsafeMutableRawPointer?
        guard unsafe redisReaderGetReply(reader, &object) == 0 else {
            throw .unreachable("the answer is not Redis' protocol")
        }
        guard let object = unsafe object else { return nil }
        defer { unsafe freeReplyObject(object) }
        return unsafe Self.copy(object.assumingMemoryBound(to: redisReply.self).pointee)
    }

    private static func copy(_ reply: redisReply) -> RedisReply {
        switch unsafe reply.type {
        case REDIS_REPLY_STATUS: return .status(String(decoding: unsafe bytes(reply), as: UTF8.self))
        case REDIS_REPLY_ERROR: return .error(String(decoding: unsafe bytes(reply), as: UTF8.self))
        case REDIS_REPLY_INTEGER: return .integer(unsafe reply.integer)
        case REDIS_REPLY_STRING: return .bytes(unsafe bytes(reply))
        case REDIS_REPLY_ARRAY:
            var elements: [RedisReply] = []
            for i in 0..<Int(unsafe reply.elements) {
                guard let element = unsafe reply.element[i] else { return .null }
                elements.append(unsafe copy(element.pointee))
            }
            return .list(elements)
        default: return .null
        }
    }

    private static func bytes(_ reply: redisReply) -> Data {
        guard let start = unsafe reply.str else { return Data() }
        return unsafe Data(bytes: start, count: Int(reply.len))
    }
}
