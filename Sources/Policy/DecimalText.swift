// Numbers as JSON writes them, compared as decimals: never as binary fractions, of which two different ones may become one.

/// Where the digits of a number lie in its text.
struct DecimalText: BitwiseCopyable {
    private let isNegative: Bool
    /// From the first digit that is not zero to behind the last one before the exponent; empty for zero.
    private let first: Int
    private let end: Int
    private var digits: Range<Int> { first..<end }
    /// Power of ten of the first of them.
    private let magnitude: Int

    /// Nil when the text is no number (RFC 8259 section 6), or one whose exponent has more digits than any that is meant.
    init?(_ text: borrowing Span<UInt8>) {
        var at = 0
        isNegative = text.count > 0 && text[0] == UInt8(ascii: "-")
        if isNegative { at += 1 }
        let whole = at..<Self.endOfDigits(text, at)
        guard !whole.isEmpty, text[whole.lowerBound] != UInt8(ascii: "0") || whole.count == 1 else { return nil }
        at = whole.upperBound
        var fraction = at..<at
        if at < text.count, text[at] == UInt8(ascii: ".") {
            fraction = at + 1..<Self.endOfDigits(text, at + 1)
            guard !fraction.isEmpty else { return nil }
            at = fraction.upperBound
        }
        let mantissaEnd = at
        guard let exponent = Self.exponent(text, at) else { return nil }
        var first = whole.lowerBound
        while first < mantissaEnd, text[first] == UInt8(ascii: "0") || text[first] == UInt8(ascii: ".") { first += 1 }
        self.first = first
        end = mantissaEnd
        // Behind the point the first place is worth a tenth.
        let place = first < whole.upperBound ? whole.upperBound - first - 1 : fraction.lowerBound - first - 1
        magnitude = place + exponent
    }

    /// Less than zero, zero or more: as `a` is less than, equal to or greater than `b`. Nil when one of them is no number.
    static func compare(_ a: borrowing Span<UInt8>, _ b: borrowing Span<UInt8>) -> Int? {
        guard let x = DecimalText(a), let y = DecimalText(b) else { return nil }
        let signX = x.sign, signY = y.sign
        if signX != signY { return signX - signY }
        if signX == 0 { return 0 }
        if x.magnitude != y.magnitude { return (x.magnitude < y.magnitude ? -1 : 1) * signX }
        return compareDigits(a, x.digits, b, y.digits) * signX
    }

    private var sign: Int { digits.isEmpty ? 0 : isNegative ? -1 : 1 }

    /// Digit by digit; those that one of them lacks at its end are zero.
    private static func compareDigits(
        _ a: borrowing Span<UInt8>, _ digitsA: Range<Int>, _ b: borrowing Span<UInt8>, _ digitsB: Range<Int>
    ) -> Int {
        var i = digitsA.lowerBound, j = digitsB.lowerBound
        while i < digitsA.upperBound || j < digitsB.upperBound {
            if i < digitsA.upperBound, a[i] == UInt8(ascii: ".") { i += 1 }
            if j < digitsB.upperBound, b[j] == UInt8(ascii: ".") { j += 1 }
            let x = i < digitsA.upperBound ? a[i] : UInt8(ascii: "0")
            let y = j < digitsB.upperBound ? b[j] : UInt8(ascii: "0")
            if x != y { return x < y ? -1 : 1 }
            i += 1
            j += 1
        }
        return 0
    }

    private static func endOfDigits(_ text: borrowing Span<UInt8>, _ start: Int) -> Int {
        var at = start
        while at < text.count, text[at] &- UInt8(ascii: "0") <= 9 { at += 1 }
        return at
    }

    /// What stands behind the mantissa; 0 when nothing does.
    private static func exponent(_ text: borrowing Span<UInt8>, _ start: Int) -> Int? {
        guard start < text.count else { return 0 }
        guard text[start] | 0x20 == UInt8(ascii: "e") else { return nil }
        var at = start + 1
        let isNegative = at < text.count && text[at] == UInt8(ascii: "-")
        if isNegative || at < text.count && text[at] == UInt8(ascii: "+") { at += 1 }
        // 15 digits leave room for the place of any digit in a text.
        guard at < text.count, text.count - at <= 15, endOfDigits(text, at) == text.count else { return nil }
        var value = 0
        while at < text.count {
            value = value * 10 + Int(text[at] - UInt8(ascii: "0"))
            at += 1
        }
        return isNegative ? -value : value
    }
}
