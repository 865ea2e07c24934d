// What is left of a Cookie field without the cookies that do not travel (RFC 6265 section 4.2.1).
import Bytes

extension HeaderFields {
    /// Writes the Cookie field at `k` without those that `filter` strips; nothing, when nothing is left or the client's
    /// Connection field takes it away. What stays, stays byte for byte.
    borrowing func writeCookies(_ k: Int, _ filter: borrowing FieldFilter, to out: inout ByteQueue) {
        if isNominated(k) { return }
        let all = arena.bytes
        let value = self.value(at: k)
        let start = Int(positions[k].name)
        var isFirst = true
        var i = value.lowerBound
        while i <= value.upperBound {
            let end = all.first(UInt8(ascii: ";"), from: i, to: value.upperBound)
            let pair = i..<end
            i = end + 1
            if filter.stripsCookie(all.extracting(all.cookieName(pair))) { continue }
            if isFirst {
                // A cookie that was not the first brings a blank with it.
                let from = all.firstNotBlank(pair)
                // Blanks alone are no cookie: the separator that ended the last one.
                if from == pair.upperBound { continue }
                out.append(all.extracting(start..<value.lowerBound))
                out.append(all.extracting(from..<pair.upperBound))
                isFirst = false
            } else {
                out.append(";")
                out.append(all.extracting(pair))
            }
        }
        if !isFirst { out.append("\r\n") }
    }
}

extension Span where Element == UInt8 {
    /// What stands before the first `=`, without the blanks around it; of a pair without one all of it.
    fileprivate func cookieName(_ pair: Range<Int>) -> Range<Int> {
        let start = firstNotBlank(pair)
        var end = first(UInt8(ascii: "="), from: start, to: pair.upperBound)
        while end > start, isBlank(self[end - 1]) { end -= 1 }
        return start..<end
    }
    fileprivate func firstNotBlank(_ range: Range<Int>) -> Int {
        var i = range.lowerBound
        while i < range.upperBound, isBlank(self[i]) { i += 1 }
        return i
    }
}
