// A strict JSON parser (RFC 8259): no duplicate members, no comments, bounded depth, every fault with its position.

struct JSONReader {
    /// Nobody nests a login or a role table deeper; a bound keeps hostile input off the stack.
    private static let depthLimit = 16

    private let bytes: [UInt8]
    private var position = TextPosition()

    private init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// Parses one whole JSON text.
    static func parse(_ bytes: [UInt8]) throws(JSONFault) -> JSONNode {
        guard String(validating: bytes, as: UTF8.self) != nil else {
            throw JSONFault(message: "the text is not UTF-8", position: firstBadSequence(in: bytes))
        }
        var reader = JSONReader(bytes)
        reader.skipBlanks()
        let node = try reader.value(depth: 0)
        reader.skipBlanks()
        guard reader.peek == nil else { throw reader.fault("there is more text after the JSON value") }
        return node
    }

    private static func firstBadSequence(in bytes: [UInt8]) -> TextPosition {
        var position = TextPosition()
        var end = 0
        for byte in bytes {
            end += 1
            if byte == 0x0A {
                guard String(validating: bytes[position.offset..<end], as: UTF8.self) != nil else { break }
                position = TextPosition(line: position.line + 1, column: 1, offset: end)
            }
        }
        return position
    }

    private var peek: UInt8? { position.offset < bytes.count ? bytes[position.offset] : nil }

    private func fault(_ message: String) -> JSONFault {
        JSONFault(message: message, position: position)
    }

    private mutating func advance() {
        if bytes[position.offset] == 0x0A {
            position.line += 1
            position.column = 0
        }
        position.offset += 1
        position.column += 1
    }

    private mutating func skipBlanks() {
        while let byte = peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { advance() }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard peek == UInt8(ascii: character) else { return false }
        advance()
        return true
    }

    private mutating func value(depth: Int) throws(JSONFault) -> JSONNode {
        guard depth <= Self.depthLimit else { throw fault("the text is nested deeper than \(Self.depthLimit)") }
        let start = position
        let value: JSONNode.Value
        switch peek {
        case UInt8(ascii: "{"): value = .object(try members(depth: depth))
        case UInt8(ascii: "["): value = .array(try elements(depth: depth))
        case UInt8(ascii: "\""): value = .string(try string())
        case .some(UInt8(ascii: "-")), .some(UInt8(ascii: "0")...UInt8(ascii: "9")): value = .number(try number())
        default: value = try word()
        }
        return JSONNode(value: value, start: start, endOffset: position.offset)
    }

    private mutating func word() throws(JSONFault) -> JSONNode.Value {
        let words: [(String, JSONNode.Value)] = [("true", .boolean(true)), ("false", .boolean(false)), ("null", .null)]
        for (word, value) in words where bytes[position.offset...].starts(with: word.utf8) {
            for _ in word.utf8 { advance() }
            return value
        }
        throw fault(peek == nil ? "the text ends where a value is expected" : "a value is expected here")
    }

    private mutating func members(depth: Int) throws(JSONFault) -> [JSONMember] {
        advance()
        var members: [JSONMember] = []
        var names: Set<String> = []
        skipBlanks()
        if take("}") { return members }
        repeat {
            skipBlanks()
            let start = position
            guard peek == UInt8(ascii: "\"") else { throw fault("a member name in double quotes is expected here") }
            let name = try string()
            guard names.insert(name).inserted else {
                throw JSONFault(message: "the member \"\(name)\" stands here twice", position: start, member: name)
            }
            skipBlanks()
            guard take(":") else { throw fault("a colon is expected after the member name") }
            skipBlanks()
            members.append(JSONMember(name: name, start: start, node: try value(depth: depth + 1)))
            skipBlanks()
        } while take(",")
        guard take("}") else { throw fault("a comma or a closing brace is expected here") }
        return members
    }

    private mutating func elements(depth: Int) throws(JSONFault) -> [JSONNode] {
        advance()
        var elements: [JSONNode] = []
        skipBlanks()
        if take("]") { return elements }
        repeat {
            skipBlanks()
            elements.append(try value(depth: depth + 1))
            skipBlanks()
        } while take(",")
        guard take("]") else { throw fault("a comma or a closing bracket is expected here") }
        return elements
    }

    private mutating func number() throws(JSONFault) -> Double {
        let start = position
        _ = take("-")
        if !take("0") { try digits() }
        if take(".") { try digits() }
        if take("e") || take("E") {
            _ = take("+") || take("-")
            try digits()
        }
        let text = String(decoding: bytes[start.offset..<position.offset], as: UTF8.self)
        guard let number = Double(text), number.isFinite else {
            throw JSONFault(message: "the number is out of range", position: start)
        }
        return number
    }

    private mutating func digits() throws(JSONFault) {
        guard let byte = peek, UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte else {
            throw fault("a digit is expected here")
        }
        while let byte = peek, UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte { advance() }
    }

    private mutating func string() throws(JSONFault) -> String {
        let start = position
        advance()
        var text: [UInt8] = []
        while let byte = peek {
            switch byte {
            case UInt8(ascii: "\""):
                advance()
                return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"):
                text.append(contentsOf: try escape().utf8)
            case 0..<0x20:
                throw fault("a control character must be escaped in a string")
            default:
                text.append(byte)
                advance()
            }
        }
        throw JSONFault(message: "the string does not end", position: start)
    }

    private mutating func escape() throws(JSONFault) -> String {
        let start = position
        advance()
        guard let byte = peek else { throw fault("the string does not end") }
        advance()
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return String(Unicode.Scalar(byte))
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return String(try unicodeEscape(from: start))
        default: throw JSONFault(message: "this escape does not exist", position: start)
        }
    }

    /// A `\u` escape, with its second half when it is a surrogate pair (RFC 8259 §7).
    private mutating func unicodeEscape(from start: TextPosition) throws(JSONFault) -> Unicode.Scalar {
        let first = try hexadecimal()
        if let scalar = Unicode.Scalar(first) { return scalar }
        if (0xD800..<0xDC00).contains(first), take("\\"), take("u") {
            let second = try hexadecimal()
            if (0xDC00..<0xE000).contains(second),
                let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
            {
                return scalar
            }
        }
        throw JSONFault(message: "half a surrogate pair is not a character", position: start)
    }

    private mutating func hexadecimal() throws(JSONFault) -> UInt32 {
        var code: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = peek, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw fault("four hexadecimal digits are expected here")
            }
            code = code << 4 | UInt32(digit)
            advance()
        }
        return code
    }
}
