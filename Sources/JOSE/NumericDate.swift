// Seconds since 1970 as JSON writes them (RFC 7519 section 2), read as a decimal and never as a binary fraction.
package import JSON

package enum NumericDate {
    /// The smallest whole second that is not before the number: "now is before exp" and "now is not before nbf" then say the
    /// same for whole seconds. Nil beyond 18 digits, so that adding a leeway can never wrap.
    package static func seconds(_ number: JSONEvent, in document: borrowing Span<UInt8>) -> Int64? {
        plainSeconds(number, in: document) ?? anySeconds(number, in: document, roundsUp: true)
    }
    /// The whole second in which the moment lies.
    static func wholeSeconds(_ number: JSONEvent, in document: borrowing Span<UInt8>) -> Int64? {
        plainSeconds(number, in: document) ?? anySeconds(number, in: document, roundsUp: false)
    }

    /// Up to 18 digits and nothing else, as nearly every issuer writes them; nil for any other form.
    private static func plainSeconds(_ number: JSONEvent, in document: borrowing Span<UInt8>) -> Int64? {
        let digits = document.extracting(number.range)
        guard digits.count <= 18 else { return nil }
        var value: Int64 = 0
        for i in 0..<digits.count {
            let digit = digits[i] &- UInt8(ascii: "0")
            guard digit <= 9 else { return nil }
            value = value &* 10 &+ Int64(digit)
        }
        return value
    }

    private static func anySeconds(
        _ number: JSONEvent, in document: borrowing Span<UInt8>, roundsUp: Bool
    ) -> Int64? {
        var at = Int(number.start)
        let end = Int(number.end)
        let isNegative = document[at] == UInt8(ascii: "-")
        if isNegative { at += 1 }
        let exponent = exponentOf(number, in: document)
        var value: Int64 = 0
        var significant = 0
        // Digits that stand before the point once the exponent has moved it; the rest only decides about rounding.
        var whole = integerDigits(at, end, document) + exponent
        var hasFraction = false
        while at < end, document[at] | 0x20 != UInt8(ascii: "e") {
            let digit = Int64(document[at]) - 48
            at += 1
            if digit < 0 { continue }
            if whole > 0 {
                if significant > 0 || digit > 0 { significant += 1 }
                if significant > 18 { return nil }
                value = value * 10 + digit
            } else if digit > 0 {
                hasFraction = true
            }
            whole -= 1
        }
        while whole > 0 && value > 0 {
            significant += 1
            if significant > 18 { return nil }
            value *= 10
            whole -= 1
        }
        if isNegative { return hasFraction && !roundsUp ? -value - 1 : -value }
        return hasFraction && roundsUp ? value + 1 : value
    }

    private static func integerDigits(_ start: Int, _ end: Int, _ document: borrowing Span<UInt8>) -> Int {
        var at = start
        while at < end, document[at] &- UInt8(ascii: "0") <= 9 { at += 1 }
        return at - start
    }

    /// Held within a million either way: beyond that the answer no longer changes.
    private static func exponentOf(_ number: JSONEvent, in document: borrowing Span<UInt8>) -> Int {
        let range = number.range
        guard let mark = range.first(where: { document[$0] | 0x20 == UInt8(ascii: "e") }) else { return 0 }
        var at = mark + 1
        let isNegative = document[at] == UInt8(ascii: "-")
        if isNegative || document[at] == UInt8(ascii: "+") { at += 1 }
        var exponent = 0
        while at < range.upperBound {
            exponent = min(exponent * 10 + Int(document[at]) - 48, 1_000_000)
            at += 1
        }
        return isNegative ? -exponent : exponent
    }
}
