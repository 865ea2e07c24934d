// Characters to tokens: words bare and quoted, `;`, braces; comments and blanks vanish, references are replaced.

enum Token: Sendable {
    case word(Argument)
    case semicolon(SourcePosition)
    case open(SourcePosition)
    case close(SourcePosition)
    case end(SourcePosition)
}

/// Reads one file; mistakes are collected and reading goes on behind them.
struct Lexer {
    private let scalars: [Unicode.Scalar]
    private let references: References
    private var index = 0
    private var position: SourcePosition
    private var lineIsBlankSoFar = true
    private(set) var diagnostics: [Diagnostic] = []

    init(text: String, file: String, references: References) {
        var scalars = Array(text.unicodeScalars)
        if scalars.first == "\u{feff}" { scalars.removeFirst() }
        self.scalars = scalars
        self.references = references
        position = SourcePosition(file: file, line: 1, column: 1)
    }

    mutating func next() -> Token {
        skipBlanks()
        let start = position
        guard let scalar = peek() else { return .end(start) }
        switch scalar {
        case ";":
            advance()
            return .semicolon(start)
        case "{":
            advance()
            return .open(start)
        case "}":
            advance()
            return .close(start)
        default:
            return .word(word())
        }
    }

    private func peek(_ ahead: Int = 0) -> Unicode.Scalar? {
        index + ahead < scalars.count ? scalars[index + ahead] : nil
    }

    private mutating func advance() {
        if scalars[index] == "\n" {
            position.line += 1
            position.column = 1
            lineIsBlankSoFar = true
        } else {
            position.column += 1
            if !Self.isBlank(scalars[index]) { lineIsBlankSoFar = false }
        }
        index += 1
    }

    private mutating func skipBlanks() {
        while let scalar = peek() {
            if Self.isBlank(scalar) {
                advance()
            } else if scalar == "#" {
                while let next = peek(), next != "\n" { advance() }
            } else {
                return
            }
        }
    }

    private static func isBlank(_ scalar: Unicode.Scalar) -> Bool {
        scalar == " " || scalar == "\t" || scalar == "\r" || scalar == "\n"
    }

    private static func endsWord(_ scalar: Unicode.Scalar) -> Bool {
        isBlank(scalar) || scalar == ";" || scalar == "{" || scalar == "}"
    }
}

extension Lexer {
    private mutating func word() -> Argument {
        var argument = Argument(position: position)
        argument.startsLine = lineIsBlankSoFar
        let start = index
        switch peek() {
        case "\"": quoted(&argument)
        case "'": raw(&argument)
        default: bare(&argument)
        }
        argument.length = index - start
        return argument
    }

    private mutating func bare(_ argument: inout Argument) {
        while let scalar = peek() {
            if scalar == "$", peek(1) == "{" {
                reference(&argument)
            } else if scalar == "\\" {
                escape(&argument)
            } else if Self.endsWord(scalar) {
                return
            } else {
                take(&argument)
            }
        }
    }

    private mutating func quoted(_ argument: inout Argument) {
        let start = position
        argument.isQuoted = true
        advance()
        while let scalar = peek() {
            if scalar == "\"" { return close() }
            if scalar == "$", peek(1) == "{" {
                reference(&argument)
            } else if scalar == "\\" {
                escape(&argument)
            } else {
                take(&argument)
            }
        }
        diagnostics.append(Diagnostic(at: start, "the quote that opens here is never closed"))
    }

    private mutating func raw(_ argument: inout Argument) {
        let start = position
        argument.isQuoted = true
        advance()
        while let scalar = peek() {
            if scalar == "'" { return close() }
            take(&argument)
        }
        diagnostics.append(Diagnostic(at: start, "the quote that opens here is never closed"))
    }

    /// The closing quote; a word cannot go on behind it.
    private mutating func close() {
        advance()
        guard let next = peek(), !Self.endsWord(next), next != "#" else { return }
        diagnostics.append(Diagnostic(at: position, "a blank or \";\" is missing behind the closing quote"))
    }

    private mutating func take(_ argument: inout Argument) {
        let scalar = scalars[index]
        if scalar.value < 0x20 && !Self.isBlank(scalar) || scalar.value == 0x7f {
            let number = String(scalar.value, radix: 16)
            diagnostics.append(Diagnostic(at: position, "a control character (U+\(number)) cannot stand in a word"))
        }
        argument.append(written: scalar)
        advance()
    }

    /// `\n \t \r \" \' \\ \u{…}`; any other backslash stays, so that regular expressions need no doubling.
    private mutating func escape(_ argument: inout Argument) {
        let start = position
        advance()
        guard let scalar = peek() else { return argument.append(written: "\\") }
        switch scalar {
        case "n": argument.append(written: "\n")
        case "t": argument.append(written: "\t")
        case "r": argument.append(written: "\r")
        case "\"", "'", "\\": argument.append(written: scalar)
        case "u" where peek(1) == "{": return unicodeEscape(&argument, start)
        default:
            argument.append(written: "\\")
            argument.append(written: scalar)
        }
        advance()
    }

    private mutating func unicodeEscape(_ argument: inout Argument, _ start: SourcePosition) {
        advance()
        advance()
        var digits = ""
        while let scalar = peek(), scalar != "}", digits.utf8.count < 8 {
            digits.unicodeScalars.append(scalar)
            advance()
        }
        let isClosed = peek() == "}"
        if isClosed { advance() }
        guard isClosed, let value = UInt32(digits, radix: 16), let scalar = Unicode.Scalar(value) else {
            argument.isFaulty = true
            diagnostics.append(
                Diagnostic(at: start, "\"\\u{\(digits)\" is no character: write \\u{…} with hexadecimal digits"))
            return
        }
        argument.append(literal: String(Character(scalar)))
    }

    /// `${env:…}` and `${file:…}` are replaced; `${name}` is a run-time variable and stays.
    private mutating func reference(_ argument: inout Argument) {
        let start = position
        let first = index
        while let scalar = peek(), scalar != "}", scalar != "\n" { advance() }
        guard peek() == "}" else {
            argument.isFaulty = true
            diagnostics.append(Diagnostic(at: start, "\"${\" is not closed: \"}\" is missing", length: index - first))
            return
        }
        advance()
        let whole = scalars[first..<index]
        let name = String(String.UnicodeScalarView(whole.dropFirst(2).dropLast()))
        do throws(ReferenceError) {
            switch try references.value(of: name) {
            case nil: argument.append(written: String(String.UnicodeScalarView(whole)))
            case .secret(let value, let file)?: argument.append(secret: value, file: file)
            case .fallback(let value)?: argument.append(literal: value)
            }
        } catch {
            argument.isFaulty = true
            diagnostics.append(Diagnostic(at: start, error.message, length: whole.count))
        }
    }
}

extension Argument {
    fileprivate mutating func append(written scalar: Unicode.Scalar) {
        append(written: String(Character(scalar)))
    }
    fileprivate mutating func append(written text: String) {
        if case .written(var before)? = pieces.last {
            // Taken out first, so that the text is extended in place: a long word costs no more than its length.
            pieces.removeLast()
            before += text
            pieces.append(.written(before))
        } else {
            pieces.append(.written(text))
        }
    }
    fileprivate mutating func append(literal text: String) { pieces.append(.literal(text)) }
}
