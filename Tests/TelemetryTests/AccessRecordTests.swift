// The access log's JSON: one line, every field, nothing secret.
import Bytes
import Foundation
import Telemetry
import Testing

struct AccessRecordTests {
    private static func line(_ record: AccessRecord, target: String, agent: String = "curl/8") -> [UInt8] {
        let target = Array(target.utf8), agent = Array(agent.utf8), method = Array("GET".utf8)
        let address = Array("192.0.2.7".utf8), host = Array("api.example.com".utf8), id = Array("00ff".utf8)
        let route = Array("/api/".utf8), upstream = Array("127.0.0.1:7001".utf8), subject = Array("alice".utf8)
        return written {
            let texts = AccessTexts(
                remoteAddress: address.span, method: method.span, target: target.span, host: host.span,
                userAgent: agent.span, requestID: id.span, route: route.span, upstream: upstream.span,
                subject: subject.span)
            record.appendJSON(texts, to: &$0)
        }
    }
    private static func parsed(_ line: [UInt8]) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(line)) as? [String: Any])
    }

    @Test func `a record is one line of JSON with its numbers and words`() throws {
        var record = AccessRecord()
        record.wallSeconds = 1_795_253_400
        record.wallMilliseconds = 7
        record.status = 401
        record.requestTime = 12_345_678
        record.upstreamResponseTime = 1_002_000_000
        record.sentBodyBytes = 130
        record.reason = "token_expired"
        record.authResult = "refused"
        record.authCache = .hit
        record.protocolName = "HTTP/1.1"
        let bytes = Self.line(record, target: "/api/x?key=s3cret&page=2")
        #expect(bytes.last == UInt8(ascii: "\n") && bytes.filter { $0 == UInt8(ascii: "\n") }.count == 1)
        let object = try Self.parsed(bytes)
        #expect(object["time"] as? String == "2026-11-21T09:30:00.007Z")
        #expect(object["path"] as? String == "/api/x?key=***&page=2")
        #expect(object["status"] as? Int == 401)
        #expect(object["request_time"] as? Double == 0.012)
        #expect(object["upstream_response_time"] as? Double == 1.002)
        #expect(object["upstream_connect_time"] is NSNull)
        #expect(object["body_bytes_sent"] as? Int == 130)
        #expect(object["auth_reason"] as? String == "token_expired")
        #expect(object["auth_cache"] as? String == "hit")
        #expect(object["auth_subject"] as? String == "alice")
        #expect(object["auth_provider"] as? String == "-")
        for name in [
            "remote_addr", "remote_port", "method", "protocol", "host", "request_length", "bytes_sent", "upstream",
            "upstream_status", "upstream_tries", "upstream_header_time", "route", "request_id", "auth_result", "src",
            "tls", "connection", "connection_requests", "referer", "user_agent",
        ] {
            #expect(object[name] != nil, "\(name)")
        }
    }

    @Test func `R10 a user agent cannot forge a line or a field`() throws {
        let agent = "x\",\"status\":200}\n{\"forged\":\"yes\u{1b}[31m"
        let bytes = Self.line(AccessRecord(), target: "/", agent: agent)
        #expect(bytes.filter { $0 == UInt8(ascii: "\n") }.count == 1)
        let object = try Self.parsed(bytes)
        #expect(object["user_agent"] as? String == agent)
        #expect(object["forged"] == nil && object["status"] as? Int == 0)
    }

    @Test func `a token in the user agent or the path is masked`() throws {
        let token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"
        let bytes = Self.line(AccessRecord(), target: "/x/\(token)", agent: "Bearer \(token)")
        #expect(!text(bytes).contains("c2lnbmF0dXJl"))
        #expect(try Self.parsed(bytes)["user_agent"] as? String == "Bearer ***")
    }

    @Test(
        arguments: [(0, "0.000"), (999_999, "0.000"), (1_000_000, "0.001"), (61_050_000_000, "61.050")]
            as [(UInt64, String)])
    func `seconds have three decimals, cut as nginx cuts them`(nanoseconds: UInt64, expected: String) {
        #expect(text(written { LogNumber.appendSeconds(nanoseconds, to: &$0) }) == expected)
    }
}
