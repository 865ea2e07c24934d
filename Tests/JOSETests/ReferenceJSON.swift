// JSON read in the plainest way there is: recursively, copying everything, so that it is seen to be right. What the real
// reader accepts, this one has to accept.

indirect enum ReferenceJSON: Equatable {
    case object([Member])
    case array([ReferenceJSON])
    case string([UInt8])
    case number(String)
    case word(String)

    struct Member: Equatable {
        var name: [UInt8]
        var value: ReferenceJSON
    }

    /// Nil for everything but one document of RFC 8259 in UTF-8 without duplicate members, within the limits.
    init?(_ document: [UInt8], depth: Int = 16, members: Int = 256) {
        guard String(validating: document, as: UTF8.self) != nil else { return nil }
        var parser = Parser(rest: document[...], depth: depth, members: members)
        do {
            self = try parser.value()
            parser.skipSpace()
            guard parser.rest.isEmpty else { return nil }
        } catch {
            return nil
        }
    }

    subscript(name: String) -> ReferenceJSON? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name == Array(name.utf8) }?.value
    }
    /// The text of a string.
    var text: String? {
        guard case .string(let bytes) = self else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }
    var elements: [ReferenceJSON]? {
        guard case .array(let elements) = self else { return nil }
        return elements
    }
    var isObject: Bool {
        if case .object = self { true } else { false }
    }

    private struct Refused: Error {}

    private struct Parser {
        var rest: ArraySlice<UInt8>
        var depth: Int
        var members: Int

        mutating func skipSpace() { rest = rest.drop { [0x20, 0x09, 0x0a, 0x0d].contains($0) } }

        mutating func take(_ text: String) throws {
            guard rest.starts(with: text.utf8) else { throw Refused() }
            rest = rest.dropFirst(text.utf8.count)
        }

        mutating func value() throws -> ReferenceJSON {
            skipSpace()
            switch rest.first {
            case UInt8(ascii: "{"): return try object()
            case UInt8(ascii: "["): return try array()
            case UInt8(ascii: "\""): return .string(try string())
            case UInt8(ascii: "t"): return try word("true")
            case UInt8(ascii: "f"): return try word("false")
            case UInt8(ascii: "n"): return try word("null")
            default: return try number()
            }
        }

        mutating func word(_ text: String) throws -> ReferenceJSON {
            try take(text)
            return .word(text)
        }

        mutating func object() throws -> ReferenceJSON {
            try open("{")
            var found: [Member] = []
            while try goesOn(to: "}", isFirst: found.isEmpty) {
                skipSpace()
                let name = try string()
                members -= 1
                guard members >= 0, !found.contains(where: { $0.name == name }) else { throw Refused() }
                skipSpace()
                try take(":")
                found.append(Member(name: name, value: try value()))
            }
            return .object(found)
        }

        mutating func array() throws -> ReferenceJSON {
            try open("[")
            var found: [ReferenceJSON] = []
            while try goesOn(to: "]", isFirst: found.isEmpty) { found.append(try value()) }
            return .array(found)
        }

        mutating func open(_ bracket: String) throws {
            try take(bracket)
            depth -= 1
            guard depth >= 0 else { throw Refused() }
        }

        /// Whether there is another element; takes the comma before it, or the bracket behind all.
        mutating func goesOn(to end: String, isFirst: Bool) throws -> Bool {
            skipSpace()
            if rest.starts(with: end.utf8) {
                try take(end)
                depth += 1
                return false
            }
            if !isFirst { try take(",") }
            return true
        }

        mutating func number() throws -> ReferenceJSON {
            let text = String(decoding: rest.prefix { "+-.eE0123456789".utf8.contains($0) }, as: UTF8.self)
            guard text.wholeMatch(of: /-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/) != nil else { throw Refused() }
            try take(text)
            return .number(text)
        }

        mutating func string() throws -> [UInt8] {
            try take("\"")
            var text = ""
            while let byte = rest.first {
                guard byte >= 0x20 else { throw Refused() }
                if byte == UInt8(ascii: "\"") {
                    try take("\"")
                    return Array(text.utf8)
                }
                if byte == UInt8(ascii: "\\") {
                    text.unicodeScalars.append(try escape())
                } else {
                    let length = byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4
                    text += String(decoding: rest.prefix(length), as: UTF8.self)
                    rest = rest.dropFirst(length)
                }
            }
            throw Refused()
        }

        mutating func escape() throws -> Unicode.Scalar {
            try take("\\")
            guard let kind = rest.popFirst() else { throw Refused() }
            let plain: [Character: Unicode.Scalar] = [
                "\"": "\"", "\\": "\\", "/": "/", "b": "\u{8}", "f": "\u{c}", "n": "\n", "r": "\r", "t": "\t",
            ]
            if let scalar = plain[Character(Unicode.Scalar(kind))] { return scalar }
            guard kind == UInt8(ascii: "u") else { throw Refused() }
            let first = try unit()
            if let scalar = Unicode.Scalar(first) { return scalar }
            guard first < 0xdc00 else { throw Refused() }
            try take("\\u")
            let second = try unit()
            guard (0xdc00...0xdfff).contains(second),
                let scalar = Unicode.Scalar(0x10000 + (first - 0xd800) << 10 + (second - 0xdc00))
            else { throw Refused() }
            return scalar
        }

        mutating func unit() throws -> UInt32 {
            let digits = String(decoding: rest.prefix(4), as: UTF8.self)
            guard digits.wholeMatch(of: /[0-9a-fA-F]{4}/) != nil, let unit = UInt32(digits, radix: 16) else {
                throw Refused()
            }
            rest = rest.dropFirst(4)
            return unit
        }
    }
}
