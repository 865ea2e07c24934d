// `read:*` and `*:data`: a star that is granted stands for one whole segment, where the configuration allows that.
import Bytes

enum GrantWildcard {
    private static let star = UInt8(ascii: "*")
    private static let colon = UInt8(ascii: ":")

    /// Whether one element of a list of grants, with commas between, covers `required`.
    static func list(_ list: borrowing Span<UInt8>, covers required: borrowing Span<UInt8>) -> Bool {
        var at = 0
        while at < list.count {
            let end = list.first(IdentityEncoding.separator, from: at, to: list.count)
            if element(list.extracting(at..<end), covers: required) { return true }
            at = end + 1
        }
        return false
    }

    /// One star alone is everything; else segment by segment, as many in the one as in the other.
    static func element(_ granted: borrowing Span<UInt8>, covers required: borrowing Span<UInt8>) -> Bool {
        if granted.count == 1, granted[0] == star { return true }
        var i = 0, j = 0
        while true {
            let endI = granted.first(colon, from: i, to: granted.count)
            let endJ = required.first(colon, from: j, to: required.count)
            let isStar = endI - i == 1 && granted[i] == star && endJ > j
            guard isStar || granted.extracting(i..<endI).isEqual(to: required.extracting(j..<endJ)) else {
                return false
            }
            guard endI < granted.count, endJ < required.count else {
                return endI == granted.count && endJ == required.count
            }
            i = endI + 1
            j = endJ + 1
        }
    }
}
