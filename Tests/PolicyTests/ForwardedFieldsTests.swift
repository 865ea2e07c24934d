// What clients may not tell an upstream, and the names that requests get.
import Bytes
import HTTP
import Policy
import Testing

struct ForwardedFieldsTests {
    @Test(arguments: [
        "X-Forwarded-For", "x_forwarded_proto", "X-FORWARDED-HOST", "Forwarded", "X-Real-IP", "X-Original-URL",
        "X-Rewrite-URL", "X-Request-ID", "Proxy", "True-Client-IP", "x_client_ip",
    ])
    func `A10 a client's own copy does not travel on`(name: String) {
        let kept = Self.forwarded(["\(name): spoofed", "Accept: text/html"])
        #expect(kept == "Accept: text/html\r\n")
    }

    @Test(arguments: ["X-Forwarded", "X-Request-IDs", "X-Real-IPs", "Proxy-Status"])
    func `names that are only alike do travel on`(name: String) {
        #expect(Self.forwarded(["\(name): x"]) == "\(name): x\r\n")
    }

    /// The fields of a request that are left of `fields` behind the filter.
    private static func forwarded(_ fields: [String]) -> String {
        let text = "GET / HTTP/1.1\r\nHost: a\r\n" + fields.map { $0 + "\r\n" }.joined() + "\r\n"
        let filter = FieldFilter(
            dropping: FieldSet([.host]), custom: ForwardedFields.clientCopies.map { Array($0.utf8) },
            allowsUnderscores: true)
        var head = RequestHead(), queue = ByteQueue(), pool = BufferPool()
        let bytes = Array(text.utf8)
        guard case .complete = head.parse(bytes.span, limits: HTTPLimits()) else { return "not parsed" }
        queue.reserve(bytes.count, &pool)
        head.writeFields(dropping: filter, to: &queue)
        return String(decoding: (0..<queue.count).map { queue.bytes[$0] }, as: UTF8.self)
    }
}

struct RequestIDTests {
    @Test func `names are 32 hex digits and none repeats`() {
        var ids = RequestIDs(worker: 0x0123_4567_89ab_cdef, counter: .max - 500)
        var seen: Set<String> = []
        for _ in 0..<10_000 {
            let text = Self.text(ids.next())
            #expect(text.count == RequestID.textLength && text.allSatisfy { "0123456789abcdef".contains($0) })
            #expect(text.hasPrefix("0123456789abcdef"))
            #expect(seen.insert(text).inserted)
        }
    }

    @Test func `two workers have names of their own`() {
        var a = RequestIDs(), b = RequestIDs()
        #expect(a.next() != b.next())
    }

    private static func text(_ id: RequestID) -> String {
        var buffer = ByteBuffer(capacity: RequestID.textLength)
        id.append(to: &buffer)
        return String(decoding: (0..<buffer.count).map { buffer.bytes[$0] }, as: UTF8.self)
    }
}
