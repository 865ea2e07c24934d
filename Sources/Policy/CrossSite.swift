// Whether a request that brings its credential by itself, in a cookie, was made by a page that may do so (CSRF; RFC 6455
// section 10.2 for WebSocket).
import Bytes
package import HTTP

package enum CrossSite {
    /// False: some other site's page may have made it, with effects that its user never wanted. Only what a browser says of
    /// itself is looked at: other clients can say what they like, and bring no cookies that are not theirs.
    /// - Parameters:
    ///   - isTLS: whether the request came over TLS, which its own origin then says.
    ///   - block: the location's `cors` in `rules`, or -1.
    package static func accepts(
        _ head: borrowing RequestHead, isTLS: Bool, _ rules: borrowing CrossOrigin, block: Int
    ) -> Bool {
        if isHarmless(head) { return true }
        if block >= 0, rules.trustsCredentials(ofOriginOf: head, block: block) { return true }
        guard head.count(of: .origin) < 2 else { return false }
        let site = FetchSite(head)
        if site == .other || site == .repeated { return false }
        guard let origin = head.value(of: .origin) else { return true }
        // The browser has compared the two, and knows the scheme that it used with whoever ended TLS before us.
        return isOwn(origin, head, scheme: isTLS ? "https://" : "http://")
            || site == .same && (isOwn(origin, head, scheme: "https://") || isOwn(origin, head, scheme: "http://"))
    }

    /// Safe methods change nothing (RFC 9110 section 9.2.1), and their answers other sites cannot read; a WebSocket both
    /// changes and is read.
    private static func isHarmless(_ head: borrowing RequestHead) -> Bool {
        switch head.method {
        case .get, .head, .options, .trace: head.count(of: .upgrade) == 0
        case .other, .post, .put, .delete, .patch, .connect: false
        }
    }

    /// `scheme://host[:port]` of the request itself, whatever the case of the host; the scheme's own port may be left out.
    private static func isOwn(_ origin: Range<Int>, _ head: borrowing RequestHead, scheme: StaticString) -> Bool {
        let bytes = head.bytes
        let start = origin.lowerBound + scheme.utf8CodeUnitCount
        guard origin.upperBound > start, bytes.matches(origin.lowerBound, scheme) else { return false }
        let port: StaticString = scheme.utf8CodeUnitCount == 8 ? ":443" : ":80"
        var end = head.host.upperBound
        let portStart = end - port.utf8CodeUnitCount
        if portStart > head.host.lowerBound, bytes.matches(portStart, port) { end = portStart }
        guard end - head.host.lowerBound == origin.upperBound - start else { return false }
        for j in 0..<end - head.host.lowerBound
        where bytes[start + j] != lowerCase(bytes[head.host.lowerBound + j]) {
            return false
        }
        return true
    }
    private static func lowerCase(_ byte: UInt8) -> UInt8 { byte &- UInt8(ascii: "A") < 26 ? byte | 0x20 : byte }
}

/// `Sec-Fetch-Site`: which page, as the browser knows, made the request. No script can write it.
private enum FetchSite {
    case absent
    /// The request's own origin, or a person.
    case same
    case other
    case repeated

    init(_ head: borrowing RequestHead) {
        self = .absent
        for k in 0..<head.fields.count {
            let name = head.fields.name(at: k)
            guard name.count == 14, head.bytes.folds(name.lowerBound, to: "sec-fetch-site") else { continue }
            if self != .absent {
                self = .repeated
                return
            }
            let value = head.bytes.extracting(head.fields.value(at: k))
            let isSame =
                value.count == 11 && value.matches(0, "same-origin") || value.count == 4 && value.matches(0, "none")
            self = isSame ? .same : .other
        }
    }
}
