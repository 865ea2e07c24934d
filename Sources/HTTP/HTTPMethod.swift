// Request methods.
import Bytes

/// The methods that a gateway tells apart; `other` is any other token and is forwarded as it came.
package enum HTTPMethod: UInt8, Sendable {
    case other, get, head, post, put, delete, patch, options, trace, connect

    /// Repeating it has the same effect as doing it once (RFC 9110 section 9.2.2): may be retried.
    package var isIdempotent: Bool {
        switch self {
        case .get, .head, .put, .delete, .options, .trace: true
        case .other, .post, .patch, .connect: false
        }
    }

    /// Of the first `count` bytes; methods are case-sensitive (RFC 9110 section 9.1).
    init(_ s: borrowing Span<UInt8>, count: Int) {
        self =
            switch count {
            case 3: s.matches(0, "GET") ? .get : s.matches(0, "PUT") ? .put : .other
            case 4: s.matches(0, "POST") ? .post : s.matches(0, "HEAD") ? .head : .other
            case 5: s.matches(0, "PATCH") ? .patch : s.matches(0, "TRACE") ? .trace : .other
            case 6: s.matches(0, "DELETE") ? .delete : .other
            case 7: s.matches(0, "OPTIONS") ? .options : s.matches(0, "CONNECT") ? .connect : .other
            default: .other
            }
    }
}
