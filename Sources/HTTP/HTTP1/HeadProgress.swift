// How far the search for the end of a head has gone: so that a head which trickles in byte by byte costs linear time.
import Bytes

/// What a connection remembers between two calls of `parse` on the same, growing bytes. Parsing again from the start at
/// every byte would let 32 KiB of head cost half a gigabyte of scanning; with this a head is parsed at most four times:
/// at once, when its first line ends, and when an empty line comes, of which one may stand before it.
package struct HeadProgress: BitwiseCopyable, Sendable {
    enum Step { case parse, wait, fail(MessageError) }

    private var scanned: UInt32 = 0
    private var lineStart: UInt32 = 0
    private var lines: UInt32 = 0

    package init() {}

    /// What to do with these bytes. Nearly always the whole head is here at once, and no search for its end is needed.
    @inline(__always)
    mutating func step(_ s: borrowing Span<UInt8>, _ limits: HTTPLimits) -> Step {
        if scanned == 0 { return .parse }
        if scan(s) { return .parse }
        if let error = exceeded(s, limits) { return .fail(error) }
        return .wait
    }

    /// Notes the answer to the parsing of these bytes, and hands it on.
    @inline(__always)
    mutating func finish(_ result: ParseResult, _ s: borrowing Span<UInt8>) -> ParseResult {
        if case .incomplete = result {
            if scanned == 0 { _ = scan(s) }
        } else {
            self = HeadProgress()
        }
        return result
    }

    /// Looks at the bytes that are new; true when it is worth parsing.
    private mutating func scan(_ s: borrowing Span<UInt8>) -> Bool {
        var isDue = false
        var i = min(Int(scanned), s.count)
        while true {
            let end = s.endOfLine(from: i)
            if end == s.count { break }
            let size = end - Int(lineStart)
            let isEmpty = size == 0 || size == 1 && s[end - 1] == UInt8(ascii: "\r")
            if !isEmpty { lines += 1 }
            if isEmpty || lines == 1 { isDue = true }
            i = end + 1
            lineStart = UInt32(truncatingIfNeeded: i)
        }
        scanned = UInt32(truncatingIfNeeded: s.count)
        return isDue
    }

    /// What can be said of these bytes before they are parsed. The CR that a pending line may end in does not count, and
    /// an empty line may stand before a request.
    private func exceeded(_ s: borrowing Span<UInt8>, _ limits: HTTPLimits) -> MessageError? {
        let pending = s.count - Int(lineStart)
        let size = pending > 0 && s[s.count - 1] == UInt8(ascii: "\r") ? pending - 1 : pending
        if size > limits.lineSize { return lines == 0 ? .requestLineTooLong : .fieldTooLong }
        if s.count >= limits.headSize + 2 { return .headTooLarge }
        return Int(lines) > limits.fieldCount + 1 ? .tooManyFields : nil
    }
}
