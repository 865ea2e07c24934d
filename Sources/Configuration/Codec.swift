// How values are spelled: read from arguments within bounds, and written back the same way.

/// The spelling of one kind of value.
struct Codec<Value>: Sendable {
    /// For the reference: `SIZE (1k to 1g)`.
    var form: String
    var arity: ClosedRange<Int> = 1...1
    var parse: @Sendable ([Argument]) throws(Diagnostic) -> Value
    /// Arguments in the syntax of the file.
    var print: @Sendable (Value) -> [String]

    /// A value that is one argument.
    static func one(
        _ form: String, _ parse: @escaping @Sendable (Argument) throws(Diagnostic) -> Value,
        _ print: @escaping @Sendable (Value) -> String
    ) -> Codec {
        Codec(form: form, parse: { arguments throws(Diagnostic) in try parse(arguments[0]) }, print: { [print($0)] })
    }
}

extension Codec where Value == Bool {
    static let flag = Codec.one(
        "on | off",
        { argument throws(Diagnostic) in
            switch argument.text {
            case "on": return true
            case "off": return false
            default: throw argument.error("\"\(argument.shown)\" is neither \"on\" nor \"off\"")
            }
        }, { $0 ? "on" : "off" })
}

extension Codec where Value == Int {
    static func count(_ bounds: ClosedRange<Int>) -> Codec {
        .one(
            "NUMBER (\(bounds.lowerBound) to \(bounds.upperBound))",
            { argument throws(Diagnostic) in try Units.count(argument, bounds) }, { String($0) })
    }

    static func size(_ bounds: ClosedRange<Int>) -> Codec {
        .one(
            "SIZE (\(Units.text(size: bounds.lowerBound)) to \(Units.text(size: bounds.upperBound)))",
            { argument throws(Diagnostic) in try Units.size(argument, bounds) }, { Units.text(size: $0) })
    }
}

extension Codec where Value == Duration {
    static func time(_ bounds: ClosedRange<Duration>) -> Codec {
        .one(
            "TIME (\(Units.text(time: bounds.lowerBound)) to \(Units.text(time: bounds.upperBound)))",
            { argument throws(Diagnostic) in try Units.time(argument, bounds) }, { Units.text(time: $0) })
    }
}

extension Codec where Value == String {
    /// Any text; a path, when it says so.
    static func text(_ form: String) -> Codec {
        .one(form, { argument throws(Diagnostic) in argument.text }, { Syntax.quoted($0) })
    }
}

extension Codec {
    /// One of a few words.
    static func choice(_ words: [(String, Value)]) -> Codec where Value: Equatable & Sendable {
        .one(
            words.map(\.0).joined(separator: " | "),
            { argument throws(Diagnostic) in
                if let word = words.first(where: { $0.0 == argument.text }) { return word.1 }
                throw argument.error(
                    "\"\(argument.shown)\" is not one of \(words.map(\.0).joined(separator: ", "))",
                    suggestion: Spelling.suggestion(for: argument.text, among: words.map(\.0)))
            }, { value in words.first { $0.1 == value }?.0 ?? "" })
    }

    /// The same, where one word stands for nil: `off`, `auto`.
    func or(_ word: String) -> Codec<Value?> {
        let (parse, print) = (parse, print)
        return Codec<Value?>(
            form: "\(form) | \(word)", arity: arity,
            parse: { arguments throws(Diagnostic) in
                arguments.count == 1 && arguments[0].text == word ? nil : try parse(arguments)
            }, print: { $0.map(print) ?? [word] })
    }
}
