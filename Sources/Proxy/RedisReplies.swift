// Replies of a Redis server out of the bytes that come, read by hiredis. Owns one reader and frees it in deinit; each reply is
// copied and freed within the call that reads it.
import Bytes
import CHiredis

/// What a server says, as far as it matters to us.
enum RedisReply: Equatable {
    case status
    /// Its own words.
    case error(String)
    /// A list of texts; what is no text in it is empty.
    case texts([[UInt8]])
    case other
}

@safe struct RedisReplies: ~Copyable {
    /// Bytes of one reply; a message is a list of revocations.
    private static let replyLimit = 4 * 1024 * 1024
    /// Elements of a list; what the server says about a channel has three.
    private static let elementLimit: CInt = 64

    private let reader: UnsafeMutablePointer<redisReader>

    /// Nil: there is no memory.
    init?() {
        guard let made = unsafe ch_reader(Self.elementLimit) else { return nil }
        unsafe reader = unsafe made
    }
    deinit { unsafe ch_free(reader) }

    /// False: this is not the protocol, or more than a reply may be.
    mutating func feed(_ bytes: borrowing Span<UInt8>) -> Bool {
        let isFed = unsafe bytes.withUnsafeBytes { raw in
            unsafe redisReaderFeed(
                reader, raw.baseAddress?.assumingMemoryBound(to: CChar.self), raw.count) == 0
        }
        let pending = unsafe ch_pending(reader)
        return isFed && pending <= Self.replyLimit
    }
    /// The next whole reply; nil when more bytes are needed. Throws when the bytes are not the protocol.
    mutating func next() throws(ConnectionFailure) -> RedisReply? {
        var object: UnsafeMutableRawPointer?
        guard unsafe redisReaderGetReply(reader, &object) == 0 else {
            throw ConnectionFailure(text: "the answer is not Redis' protocol")
        }
        guard let object = unsafe object else { return nil }
        defer { unsafe freeReplyObject(object) }
        return unsafe Self.copy(object.assumingMemoryBound(to: redisReply.self).pointee)
    }

    private static func copy(_ reply: redisReply) -> RedisReply {
        switch unsafe reply.type {
        case REDIS_REPLY_STATUS: return .status
        case REDIS_REPLY_ERROR: return .error(String(decoding: unsafe text(reply), as: UTF8.self))
        case REDIS_REPLY_ARRAY:
            var texts: [[UInt8]] = []
            for i in 0..<Int(unsafe reply.elements) {
                guard let element = unsafe reply.element[i] else { return .other }
                texts.append(unsafe text(element.pointee))
            }
            return .texts(texts)
        default: return .other
        }
    }
    private static func text(_ reply: redisReply) -> [UInt8] {
        guard unsafe reply.type == REDIS_REPLY_STRING || reply.type == REDIS_REPLY_ERROR,
            let start = unsafe reply.str
        else { return [] }
        return unsafe UnsafeRawBufferPointer(start: start, count: Int(reply.len)).map { $0 }
    }
}
