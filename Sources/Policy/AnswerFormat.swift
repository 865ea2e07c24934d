// Which form an answer of the gateway's own takes: the one that the client likes best (RFC 9110 section 12.5.1).
import Bytes
package import HTTP

package enum AnswerFormat: UInt8, CaseIterable, Sendable {
    /// A problem document (RFC 9457): for programs, and for whoever does not say.
    case problem
    /// A page for people.
    case page
    case text
    /// A call of gRPC ends with a status of its own, in the head, under 200 ("Trailers-Only").
    case grpc

    /// What two forms are liked alike, the earlier one gets; a client that likes none gets a problem document all the same.
    package init(for head: borrowing RequestHead) {
        if head.isCall {
            self = .grpc
            return
        }
        var likings = Likings()
        for k in 0..<head.fields.count {
            let name = head.fields.name(at: k)
            if name.count == 6, head.bytes.folds(name.lowerBound, to: "accept") {
                likings.note(head.bytes, head.fields.value(at: k))
            }
        }
        self = likings.best
    }

    /// The status that is sent for an answer that means `status`.
    package func sentStatus(_ status: Int) -> Int { self == .grpc ? 200 : status }
}

/// How much a client likes one form, by the most specific of its ranges that the form falls into.
private struct Liking: BitwiseCopyable {
    private var specificity: UInt8 = 0
    /// In thousandths.
    private(set) var weight = 0

    mutating func note(_ weight: Int, specificity: UInt8) {
        if specificity < self.specificity || specificity == self.specificity && weight <= self.weight { return }
        self.specificity = specificity
        self.weight = weight
    }
}

/// What the Accept fields of a request say of the forms there are.
private struct Likings: BitwiseCopyable {
    private var isSaid = false
    private var problem = Liking()
    private var page = Liking()
    private var text = Liking()

    var best: AnswerFormat {
        if !isSaid || problem.weight >= page.weight && problem.weight >= text.weight { return .problem }
        return page.weight >= text.weight ? .page : .text
    }

    mutating func note(_ bytes: Span<UInt8>, _ value: Range<Int>) {
        var i = value.lowerBound
        while i < value.upperBound {
            let end = bytes.endOfPart(UInt8(ascii: ","), i..<value.upperBound)
            noteRange(bytes, i..<end)
            i = end + 1
        }
    }

    /// One media range with its weight; one that cannot be read says nothing.
    private mutating func noteRange(_ bytes: Span<UInt8>, _ range: Range<Int>) {
        let typeEnd = bytes.endOfPart(UInt8(ascii: ";"), range)
        let type = bytes.trimmed(range.lowerBound..<typeEnd)
        if type.isEmpty { return }
        guard let weight = weight(bytes, min(typeEnd + 1, range.upperBound)..<range.upperBound) else { return }
        isSaid = true
        switch type.count {
        case 3 where bytes.folds(type.lowerBound, to: "*/*"):
            problem.note(weight, specificity: 1)
            page.note(weight, specificity: 1)
            text.note(weight, specificity: 1)
        case 13 where bytes.folds(type.lowerBound, to: "application/*"): problem.note(weight, specificity: 2)
        // Who reads JSON reads a problem document.
        case 16 where bytes.folds(type.lowerBound, to: "application/json"): problem.note(weight, specificity: 3)
        case 24 where bytes.folds(type.lowerBound, to: "application/problem+json"):
            problem.note(weight, specificity: 4)
        case 6 where bytes.folds(type.lowerBound, to: "text/*"):
            page.note(weight, specificity: 2)
            text.note(weight, specificity: 2)
        case 9 where bytes.folds(type.lowerBound, to: "text/html"): page.note(weight, specificity: 3)
        case 10 where bytes.folds(type.lowerBound, to: "text/plain"): text.note(weight, specificity: 3)
        default: break
        }
    }

    /// The weight among the parameters of a range; nil when it is none, or when the range asks for a parameter that our
    /// forms do not have.
    private func weight(_ bytes: Span<UInt8>, _ parameters: Range<Int>) -> Int? {
        var i = parameters.lowerBound
        while i < parameters.upperBound {
            let end = bytes.endOfPart(UInt8(ascii: ";"), i..<parameters.upperBound)
            let parameter = bytes.trimmed(i..<end)
            i = end + 1
            if parameter.isEmpty { continue }
            if parameter.count >= 2, bytes.folds(parameter.lowerBound, to: "q=") {
                return bytes.quality(parameter.lowerBound + 2..<parameter.upperBound)
            }
            guard parameter.count == 13, bytes.folds(parameter.lowerBound, to: "charset=utf-8") else { return nil }
        }
        return 1000
    }
}

extension Span where Element == UInt8 {
    /// Up to the next separator that stands in no quoted string.
    fileprivate func endOfPart(_ separator: UInt8, _ range: Range<Int>) -> Int {
        var i = range.lowerBound
        var isQuoted = false
        while i < range.upperBound {
            let byte = self[i]
            if byte == UInt8(ascii: "\"") {
                isQuoted.toggle()
            } else if isQuoted && byte == UInt8(ascii: "\\") {
                i += 1
            } else if byte == separator && !isQuoted {
                return i
            }
            i += 1
        }
        return range.upperBound
    }
    fileprivate func trimmed(_ range: Range<Int>) -> Range<Int> {
        var start = range.lowerBound, end = range.upperBound
        while start < end, self[start] == UInt8(ascii: " ") || self[start] == UInt8(ascii: "\t") { start += 1 }
        while start < end, self[end - 1] == UInt8(ascii: " ") || self[end - 1] == UInt8(ascii: "\t") { end -= 1 }
        return start..<end
    }
    /// `qvalue` (RFC 9110 section 12.4.2) in thousandths.
    fileprivate func quality(_ range: Range<Int>) -> Int? {
        guard 1...5 ~= range.count, range.count != 2 || self[range.lowerBound + 1] == UInt8(ascii: ".") else {
            return nil
        }
        var value = 0, scale = 1000
        for i in range {
            if i == range.lowerBound + 1 {
                guard self[i] == UInt8(ascii: ".") else { return nil }
                continue
            }
            let digit = self[i] &- UInt8(ascii: "0")
            guard digit <= 9 else { return nil }
            value += Int(digit) * scale
            scale /= 10
        }
        return value <= 1000 ? value : nil
    }
}
