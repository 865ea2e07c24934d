// What may become a WebSocket, and what agrees to it; rows H20, H21 and U04.
import Bytes
import HTTP
import Policy
import Testing

struct WebSocketHandshakeTests {
    private static let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    private static let good = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", key]

    private static func judge(
        _ lines: [String], method: String = "GET", version: String = "1.1", passes: Bool = true
    ) -> WebSocketHandshake.Verdict {
        let bytes = Array(
            (["\(method) / HTTP/\(version)", "Host: h"] + lines + ["", ""]).joined(separator: "\r\n").utf8)
        var head = RequestHead()
        #expect(head.parse(bytes.span, limits: HTTPLimits()) == .complete(bytes.count))
        return WebSocketHandshake.judge(head, passes: passes)
    }
    private static func without(_ line: Int, _ more: String...) -> [String] {
        var lines = good
        lines.remove(at: line)
        return lines + more
    }

    @Test func `a handshake as RFC 6455 has it`() {
        #expect(Self.judge(Self.good) == .asked)
        #expect(Self.judge(Self.good + ["Content-Length: 0"]) == .asked)
        #expect(Self.judge(Self.without(0, "connection: keep-alive, UPGRADE")) == .asked)
        #expect(Self.judge(Self.without(1, "upgrade: WebSocket")) == .asked)
    }

    @Test func `what asks for nothing, or for something else`() {
        #expect(Self.judge([]) == .none)
        for line in 0...1 { #expect(Self.judge(Self.without(line)) == .none) }
        for other in ["h2c", "websocket, h2c", "websocket/13", "web socket", "", "TLS/1.0"] {
            #expect(Self.judge(Self.without(1, "Upgrade: \(other)")) == .none, "\(other)")
        }
        #expect(Self.judge(Self.good + ["Upgrade: websocket"]) == .none)
        #expect(Self.judge(Self.good, version: "1.0") == .none)
        #expect(Self.judge(Self.good, passes: false) == .none)
    }

    @Test func `what asks wrongly`() {
        #expect(Self.judge(Self.good, method: "POST") == .refused(.upgradeInvalid))
        #expect(Self.judge(Self.good + ["Content-Length: 1"]) == .refused(.upgradeInvalid))
        #expect(Self.judge(Self.good + ["Transfer-Encoding: chunked"]) == .refused(.upgradeInvalid))
        #expect(Self.judge(Self.without(2)) == .refused(.upgradeVersion))
        for version in ["8", "12", "013", "13, 8", "-13"] {
            #expect(
                Self.judge(Self.without(2, "Sec-WebSocket-Version: \(version)")) == .refused(.upgradeVersion))
        }
        #expect(Self.judge(Self.without(3)) == .refused(.upgradeInvalid))
        #expect(Self.judge(Self.good + [Self.key]) == .refused(.upgradeInvalid))
        for key in ["", "x", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZ-==", "dGhlIHNhbXBsZSBub25jZQ==="] {
            #expect(Self.judge(Self.without(3, "Sec-WebSocket-Key: \(key)")) == .refused(.upgradeInvalid), "\(key)")
        }
    }

    @Test func `what a server makes of a key`() {
        let key = Array("dGhlIHNhbXBsZSBub25jZQ==".utf8)
        let accept = String(decoding: WebSocketHandshake.acceptance(of: key), as: UTF8.self)
        #expect(accept == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "the example of RFC 6455 section 1.3")
        let ours = WebSocketHandshake.makeKey()
        #expect(ours.count == 24 && ours != WebSocketHandshake.makeKey())
        let line = "Sec-WebSocket-Key: " + String(decoding: ours, as: UTF8.self)
        #expect(Self.judge(Self.without(3, line)) == .asked)
    }

    @Test(arguments: [
        ("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", true),
        ("Upgrade: WebSocket\r\nConnection: x, upgrade\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", true),
        ("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOp=", false),
        ("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: S3PPLMBITXAQ9KYGZZHZRBK+XOO=", false),
        ("Upgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", false),
        ("Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", false),
        ("Upgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", false),
        ("Upgrade: websocket\r\nConnection: Upgrade", false),
    ])
    func `U04 what agrees`(fields: String, agrees: Bool) {
        let bytes = Array("HTTP/1.1 101 Switching Protocols\r\n\(fields)\r\n\r\n".utf8)
        var head = ResponseHead()
        #expect(head.parse(bytes.span, isHEAD: false) == .complete(bytes.count))
        let acceptance = WebSocketHandshake.acceptance(of: Array("dGhlIHNhbXBsZSBub25jZQ==".utf8))
        #expect(WebSocketHandshake.isAgreed(head, acceptance) == agrees)
    }
}
