// Writes the requests that ask a service about a credential. Pure: bytes of a configuration and of a request in, bytes out.
import Bytes
package import Configuration
package import HTTP

/// The part of the requests of one provider that is always the same, and what is added for each credential.
package struct LookupCall: Sendable {
    private let start: [UInt8]

    /// - Parameter clientID: nil: the service knows its callers by other means.
    package init(_ target: LookupTarget, clientID: String? = nil, clientSecret: String = "") {
        let method = target.kind == .introspection ? "POST" : "GET"
        var text =
            "\(method) \(target.address.target) HTTP/1.1\r\nHost: \(target.address.authority)\r\nAccept: application/json\r\n"
        if let clientID {
            // RFC 6749 section 2.3.1: both are encoded as forms are, and then as Basic wants it.
            let pair = FormEncoding.text(clientID) + ":" + FormEncoding.text(clientSecret)
            text += "Authorization: Basic \(Base64.encode(Array(pair.utf8)))\r\n"
        }
        start = Array(text.utf8)
    }

    /// RFC 7662 section 2.1.
    package func introspection(of token: borrowing Span<UInt8>, hint: StaticString) -> [UInt8] {
        var body = ByteBuffer(capacity: token.count + 64)
        body.append("token=")
        FormEncoding.append(token, to: &body)
        body.append("&token_type_hint=")
        body.append(hint)
        var out = ByteBuffer(capacity: start.count + body.count + 128)
        out.append(start.span)
        out.append("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ")
        out.append(decimal: UInt64(body.count))
        out.append("\r\n\r\n")
        out.append(body.bytes)
        return Self.array(out)
    }

    /// The same request without its body, as nginx's `auth_request` sends it: what was asked for, and the credentials.
    package func request(for head: borrowing RequestHead) -> [UInt8] {
        let bytes = head.bytes
        var out = ByteBuffer(capacity: start.count + head.size + 128)
        out.append(start.span)
        out.append("X-Original-Method: ")
        out.append(bytes.extracting(head.methodRange))
        out.append("\r\nX-Original-URI: ")
        out.append(head.target.path(in: bytes))
        if head.target.hasQuery {
            out.append("?")
            out.append(bytes.extracting(head.target.query))
        }
        out.append("\r\n")
        for k in 0..<head.fields.count {
            let id = head.fields.id(at: k)
            guard id == .authorization || id == .cookie else { continue }
            out.append(bytes.extracting(head.fields.name(at: k)))
            out.append(": ")
            out.append(bytes.extracting(head.fields.value(at: k)))
            out.append("\r\n")
        }
        out.append("\r\n")
        return Self.array(out)
    }

    private static func array(_ buffer: borrowing ByteBuffer) -> [UInt8] {
        let bytes = buffer.bytes
        var array: [UInt8] = []
        array.reserveCapacity(bytes.count)
        for i in 0..<bytes.count { array.append(bytes[i]) }
        return array
    }
}

/// `application/x-www-form-urlencoded`
enum FormEncoding {
    static func append(_ bytes: borrowing Span<UInt8>, to out: inout ByteBuffer) {
        for i in 0..<bytes.count {
            let byte = bytes[i]
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "*"):
                out.append(byte: byte)
            case UInt8(ascii: " "): out.append(byte: UInt8(ascii: "+"))
            default:
                out.append(byte: UInt8(ascii: "%"))
                out.append(byte: digit(byte >> 4))
                out.append(byte: digit(byte & 15))
            }
        }
    }
    static func text(_ text: String) -> String {
        var out = ByteBuffer(capacity: text.utf8.count * 3 + 1)
        append(Array(text.utf8).span, to: &out)
        let bytes = out.bytes
        return String(decoding: (0..<bytes.count).map { bytes[$0] }, as: UTF8.self)
    }
    private static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "A") + value - 10
    }
}
