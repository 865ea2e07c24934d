// What trusted proxies say about a request that they passed on: whom it is from, and how that one asked. Only the fields that
// proxies write for one another are read; `Forwarded` (RFC 7239) is not, so that no two of them can disagree.
package import Bytes
package import Configuration
package import HTTP

package struct ForwardedChain: BitwiseCopyable {
    /// Proxies that a request may have come through: more of them are a loop.
    package static let maximumHops = 32
    /// `[address]:port`, at its longest.
    private static let maximumEntry = IPAddress.maximumTextCount + 8

    /// The last one in X-Forwarded-For that is none of the proxies: each of those is believed about who spoke to it, and nobody
    /// else about anything. What does not say an address ends what is believed. Port 0: none was said. Nil: the client is
    /// who passed the request on to us.
    package private(set) var client: SocketAddress?
    /// The field in which that one stands, and where in the head.
    private var field = 0
    private var start = 0
    /// By X-Forwarded-Proto: whether the client speaks TLS.
    package private(set) var isSecure: Bool?
    /// In the head: the X-Forwarded-Host; empty when none can be believed.
    package var host: Range<Int> { hostStart..<hostEnd }
    private var hostStart = 0
    private var hostEnd = 0
    /// Nothing was said that can be believed.
    package var isEmpty: Bool { client == nil && isSecure == nil && host.isEmpty }

    /// Of a request that one of `proxies` sent. Fields of connections are no matter here: whoever named them in Connection
    /// was none of ours.
    package init(_ head: borrowing RequestHead, trusting proxies: TrustedProxies) {
        if head.fields.contains(.xForwardedFor) { walk(head, proxies) }
        if head.count(of: .xForwardedProto) == 1, let value = head.value(of: .xForwardedProto) {
            let isHTTPS = value.count == 5 && head.bytes.folds(value.lowerBound, to: "https")
            let isHTTP = value.count == 4 && head.bytes.folds(value.lowerBound, to: "http")
            if isHTTPS || isHTTP { isSecure = isHTTPS }
        }
        if head.count(of: .xForwardedHost) == 1, let value = head.value(of: .xForwardedHost),
            head.bytes.authorityHost(value) != nil
        {
            hostStart = value.lowerBound
            hostEnd = value.upperBound
        }
    }

    /// From the right: several lines are one list (RFC 9110 section 5.3).
    private mutating func walk(_ head: borrowing RequestHead, _ proxies: TrustedProxies) {
        let bytes = head.bytes
        var hops = 0, k = head.fields.count
        while k > 0 {
            k -= 1
            guard head.fields.id(at: k) == .xForwardedFor else { continue }
            let value = head.fields.value(at: k)
            var end = value.upperBound
            while end >= value.lowerBound {
                var start = end
                while start > value.lowerBound, bytes[start - 1] != UInt8(ascii: ",") { start -= 1 }
                let entry = Self.trimmed(bytes, start..<end)
                end = start - 1
                hops += 1
                guard hops <= Self.maximumHops else { return }
                // An empty element is none (RFC 9110 section 5.6.1.2).
                if entry.isEmpty { continue }
                guard let hop = Self.hop(bytes.extracting(entry)) else { return }
                client = hop
                field = k
                self.start = entry.lowerBound
                guard proxies.contains(hop.address) else { return }
            }
        }
    }

    /// Appends the client and the proxies behind it, but for the one that sent the request to us. What stands before the client
    /// is what it said about itself.
    package func append(from head: borrowing RequestHead, to out: inout ByteBuffer) {
        guard client != nil else { return }
        let bytes = head.bytes
        var isFirst = true
        for k in field..<head.fields.count where head.fields.id(at: k) == .xForwardedFor {
            let value = head.fields.value(at: k)
            var i = k == field ? start : value.lowerBound
            while i < value.upperBound {
                var end = i
                while end < value.upperBound, bytes[end] != UInt8(ascii: ",") { end += 1 }
                if let hop = Self.hop(bytes.extracting(Self.trimmed(bytes, i..<end))) {
                    if !isFirst { out.append(", ") }
                    hop.address.appendText(to: &out)
                    isFirst = false
                }
                i = end + 1
            }
        }
    }

    private static func trimmed(_ bytes: borrowing Span<UInt8>, _ range: Range<Int>) -> Range<Int> {
        var (start, end) = (range.lowerBound, range.upperBound)
        while start < end, isBlank(bytes[start]) { start += 1 }
        while end > start, isBlank(bytes[end - 1]) { end -= 1 }
        return start..<end
    }
    private static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

    /// `192.0.2.1`, `2001:db8::1` or `[2001:db8::1]`, the first and the last with a port or without.
    private static func hop(_ text: Span<UInt8>) -> SocketAddress? {
        guard text.count >= 2, text.count <= maximumEntry else { return nil }
        let isBracketed = text[0] == UInt8(ascii: "[") && text[text.count - 1] == UInt8(ascii: "]")
        let inner = isBracketed ? 1..<text.count - 1 : 0..<text.count
        if let address = IPAddress(text.extracting(inner)), !isBracketed || address.family == .v6 {
            return SocketAddress(address: address.unmapped, port: 0)
        }
        return SocketAddress(text).map { SocketAddress(address: $0.address.unmapped, port: $0.port) }
    }
}
