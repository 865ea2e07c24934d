// What may become a WebSocket: the request that asks for it, and the answer that agrees (RFC 6455 section 4, RFC 8441).
import Bytes
package import HTTP
import JOSE

package enum WebSocketHandshake {
    package enum Verdict: Equatable, Sendable {
        /// A request like any other: what it says of an upgrade does not travel on.
        case none
        case asked
        case refused(LocalResponse)
    }

    /// What a request with an Upgrade field is.
    /// - Parameter passes: whether the location sends such requests on.
    package static func judge(_ head: borrowing RequestHead, passes: Bool) -> Verdict {
        // Only `websocket`: whatever else was agreed on would be spoken past every check (`h2c`, for one).
        guard let range = head.upgrade(), range.count == 9,
            head.bytes.folds(range.lowerBound, to: "websocket")
        else { return .none }
        if !passes { return head.isFramed ? .refused(.upgradeUnsupported) : .none }
        if head.method != .get || head.framing == .chunked || head.contentLength > 0 {
            return .refused(.upgradeInvalid)
        }
        guard let version = value("sec-websocket-version", of: head), version.count == 2,
            head.bytes.matches(version.lowerBound, "13")
        else { return .refused(head.isFramed ? .upgradeInvalid : .upgradeVersion) }
        // A stream needs no handshake of its own, and so no key (RFC 8441 section 5).
        if head.isFramed {
            return head.value(named: Array(keyName.utf8).span) == nil ? .asked : .refused(.upgradeInvalid)
        }
        guard let key = value(keyName, of: head), isKey(head.bytes.extracting(key)) else {
            return .refused(.upgradeInvalid)
        }
        return .asked
    }
    private static let keyName = "sec-websocket-key"

    private static func value(_ name: String, of head: borrowing RequestHead) -> Range<Int>? {
        head.soleValue(named: Array(name.utf8).span)
    }

    /// 16 bytes in base64.
    private static func isKey(_ text: borrowing Span<UInt8>) -> Bool {
        guard text.count == 24, text.matches(22, "==") else { return false }
        for i in 0..<22 where !isDigit(text[i]) { return false }
        return true
    }
    private static func isDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"):
            true
        default: false
        }
    }

    /// A key of our own, for a client that sends none.
    package static func makeKey() -> [UInt8] {
        Array(Base64.encode((0..<16).map { _ in .random(in: .min ... .max) }).utf8)
    }
    /// The key that a request carries; empty when it has none.
    package static func key(of head: borrowing RequestHead) -> [UInt8] {
        guard let range = value(keyName, of: head) else { return [] }
        let bytes = head.bytes
        return range.map { bytes[$0] }
    }
    /// What the server makes of a key (RFC 6455 section 4.2.2).
    package static func acceptance(of key: [UInt8]) -> [UInt8] {
        Array(Base64.encode(SHA1.hash((key + Array("258EAFA5-E914-47DA-95CA-C5AB0DC85B11".utf8)).span)).utf8)
    }
    /// Whether an answer with status 101 agrees to just what was asked for: anything else would be a tunnel through us for
    /// whatever two ends want to talk.
    package static func isAgreed(_ response: borrowing ResponseHead, _ acceptance: [UInt8]) -> Bool {
        guard response.minor == 1, let range = response.upgrade(), range.count == 9,
            response.bytes.folds(range.lowerBound, to: "websocket"),
            let accept = response.soleValue(named: Array("sec-websocket-accept".utf8).span)
        else { return false }
        return response.bytes.extracting(accept).isEqual(to: acceptance.span)
    }
}
