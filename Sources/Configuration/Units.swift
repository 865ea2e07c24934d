// Numbers with units as nginx writes them: times, sizes, counts, each within bounds.

enum Units {
    private static let times: [(unit: String, milliseconds: Int64)] = [
        ("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000),
    ]
    private static let sizes: [(unit: String, bytes: Int)] = [("", 1), ("k", 1 << 10), ("m", 1 << 20), ("g", 1 << 30)]

    static func count(_ argument: Argument, _ bounds: ClosedRange<Int>) throws(Diagnostic) -> Int {
        guard let value = decimal(argument.text) else {
            throw argument.error("\"\(argument.shown)\" is not a whole number")
        }
        guard bounds.contains(value) else {
            throw argument.error(
                "\"\(argument.shown)\" is out of bounds: \(bounds.lowerBound) to \(bounds.upperBound) is accepted")
        }
        return value
    }

    /// Bytes: `512 8k 10m 1g`.
    static func size(_ argument: Argument, _ bounds: ClosedRange<Int>) throws(Diagnostic) -> Int {
        let (digits, unit) = split(argument.text)
        guard let number = decimal(digits), let factor = sizes.first(where: { $0.unit == unit.lowercased() })?.bytes
        else {
            throw argument.error(
                "\"\(argument.shown)\" is not a size: write bytes or a unit of k, m, g, as in 512, 8k, 10m, 1g")
        }
        let (value, overflow) = number.multipliedReportingOverflow(by: factor)
        guard !overflow, bounds.contains(value) else {
            throw argument.error(
                "\"\(argument.shown)\" is out of bounds: \(text(size: bounds.lowerBound)) to "
                    + "\(text(size: bounds.upperBound)) is accepted"
            )
        }
        return value
    }

    /// `250ms 5s 10m 24h 7d`, sums like `1h30m`; a number alone means seconds, as in nginx.
    static func time(_ argument: Argument, _ bounds: ClosedRange<Duration>) throws(Diagnostic) -> Duration {
        guard let milliseconds = milliseconds(argument.text[...]) else {
            throw argument.error(
                "\"\(argument.shown)\" is not a time: write a unit of ms, s, m, h, d, as in 250ms, 5s, 10m, 24h, 7d")
        }
        let value = Duration.milliseconds(milliseconds)
        guard bounds.contains(value) else {
            throw argument.error(
                "\"\(argument.shown)\" is out of bounds: \(text(time: bounds.lowerBound)) to "
                    + "\(text(time: bounds.upperBound)) is accepted"
            )
        }
        return value
    }

    private static func milliseconds(_ text: Substring) -> Int64? {
        var rest = text
        var sum: Int64 = 0
        var smallest = Int64.max
        repeat {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            rest = rest.dropFirst(digits.count)
            let unit = rest.prefix { $0.isLetter }
            rest = rest.dropFirst(unit.count)
            // Only the last part may leave its unit out; units come in falling order, each once.
            let factor = unit.isEmpty && rest.isEmpty ? 1000 : times.first { $0.unit == unit }?.milliseconds
            guard let number = decimal(String(digits)), let factor, factor < smallest else { return nil }
            smallest = factor
            let (product, overflow) = Int64(number).multipliedReportingOverflow(by: factor)
            let (total, tooMuch) = sum.addingReportingOverflow(product)
            guard !overflow, !tooMuch else { return nil }
            sum = total
        } while !rest.isEmpty
        return sum
    }

    private static func split(_ text: String) -> (digits: String, unit: String) {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        return (String(digits), String(text.dropFirst(digits.count)))
    }

    /// Digits only; nil also when there are too many for an `Int`.
    static func decimal(_ text: String) -> Int? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return Int(text)
    }

    /// With the largest unit that leaves a whole number.
    static func text(size: Int) -> String {
        guard size > 0 else { return "0" }
        let unit = sizes.last { size % $0.bytes == 0 } ?? ("", 1)
        return "\(size / unit.bytes)\(unit.unit)"
    }

    /// With the largest unit that leaves a whole number above 1, as people write it: `60s`, `24h`.
    static func text(time: Duration) -> String {
        let (seconds, attoseconds) = time.components
        let milliseconds = seconds * 1000 + attoseconds / 1_000_000_000_000_000
        guard milliseconds > 0 else { return "0s" }
        let unit = times.last { milliseconds % $0.milliseconds == 0 && milliseconds > $0.milliseconds } ?? ("ms", 1)
        return "\(milliseconds / unit.milliseconds)\(unit.unit)"
    }
}

extension Codec where Value == Duration? {
    /// A time where 0 stands for no end.
    static func endlessTime(_ bounds: ClosedRange<Duration>) -> Codec {
        .one(
            "TIME (\(Units.text(time: bounds.lowerBound)) to \(Units.text(time: bounds.upperBound)))",
            { argument throws(Diagnostic) in
                let time = try Units.time(argument, bounds)
                return time == .zero ? nil : time
            }, { Units.text(time: $0 ?? .zero) })
    }
}
