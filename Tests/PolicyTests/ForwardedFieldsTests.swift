// What an upstream is told about a request's origin.
import Bytes
import Policy
import Testing

struct ForwardedFieldsTests {
    private static func lines(_ fields: ForwardedFields, isTLS: Bool = true, host: String = "api.example.com") -> String
    {
        var ids = RequestIDs(worker: 0x0123_4567_89ab_cdef, counter: 0)
        var buffer = ByteBuffer(capacity: 16)
        let address = Array("192.0.2.7".utf8), host = Array(host.utf8)
        fields.append(client: address.span, isTLS: isTLS, host: host.span, id: ids.next(), to: &buffer)
        return String(decoding: (0..<buffer.count).map { buffer.bytes[$0] }, as: UTF8.self)
    }

    @Test func `A10 address, scheme, host and name of the request are ours`() {
        #expect(
            Self.lines(ForwardedFields()) == """
                X-Forwarded-For: 192.0.2.7\r
                X-Forwarded-Proto: https\r
                X-Forwarded-Host: api.example.com\r
                X-Request-ID: 0123456789abcdefe220a8397b1dcdaf\r

                """)
        #expect(Self.lines(ForwardedFields(), isTLS: false).contains("X-Forwarded-Proto: http\r\n"))
    }

    @Test func `a request without a host has no field for it`() {
        #expect(!Self.lines(ForwardedFields(), host: "").contains("X-Forwarded-Host"))
    }

    @Test func `a field that the configuration sets is not written twice`() {
        #expect(
            Self.lines(ForwardedFields(replaced: ["x-Forwarded-FOR", "X-Request-Id", "Host"])) == """
                X-Forwarded-Proto: https\r
                X-Forwarded-Host: api.example.com\r

                """)
        #expect(
            Self.lines(ForwardedFields(replaced: ["X-Forwarded-Proto", "X-Forwarded-Host"])).contains("X-Forwarded-For")
        )
    }

    @Test func `everything that is written is removed from what clients send`() {
        let written = Self.lines(ForwardedFields()).split(separator: "\r\n").map {
            $0.prefix { $0 != ":" }.lowercased()
        }
        for name in written { #expect(ForwardedFields.clientCopies.contains(name)) }
        #expect(ForwardedFields.clientCopies.allSatisfy { $0 == $0.lowercased() })
    }
}

struct RequestIDTests {
    @Test func `names are 32 hex digits and none repeats`() {
        var ids = RequestIDs(worker: 7, counter: .max - 500)
        var seen: Set<String> = []
        for _ in 0..<10_000 {
            var buffer = ByteBuffer(capacity: RequestID.textLength)
            ids.next().append(to: &buffer)
            let text = String(decoding: (0..<buffer.count).map { buffer.bytes[$0] }, as: UTF8.self)
            #expect(text.count == RequestID.textLength && text.allSatisfy { "0123456789abcdef".contains($0) })
            #expect(seen.insert(text).inserted)
        }
    }

    @Test func `two workers have names of their own`() {
        var a = RequestIDs(), b = RequestIDs()
        #expect(a.next() != b.next())
    }
}
