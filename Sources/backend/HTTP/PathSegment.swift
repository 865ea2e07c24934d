// One segment of a path: any text, percent-encoded (RFC 3986 §3.3).
import Foundation

enum PathSegment {
    private static let unreserved = CharacterSet(
        charactersIn: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")

    static func encoded(_ text: String) -> String {
        // No string of ours holds half a surrogate pair, the one thing that cannot be encoded.
        text.addingPercentEncoding(withAllowedCharacters: unreserved) ?? ""
    }

    /// The text of a segment; nil when it is not correctly encoded.
    static func decoded(_ segment: String) -> String? {
        guard let text = segment.removingPercentEncoding, !text.contains("\0") else { return nil }
        return text
    }
}
