// Text back into the syntax of the file, so that what is written is read as the same value.

enum Syntax {
    /// The text as one argument; a dollar sign in it stays as it is.
    static func quoted(_ text: String) -> String {
        let isBare =
            !text.isEmpty && text.unicodeScalars.first != "#"
            && text.unicodeScalars.allSatisfy {
                $0.isASCII && $0.value > 0x20 && $0.value < 0x7f && !"\"'\\;{}$#".unicodeScalars.contains($0)
            }
        return isBare ? text : "\"" + escaped(text, dollar: "$") + "\""
    }

    /// A template as one argument: dollar signs in its text are escaped, variables are not.
    static func quoted(_ template: Template) -> String {
        if case .variable(let variable)? = template.pieces.first, template.pieces.count == 1 {
            return "$" + variable.name
        }
        var result = ""
        for piece in template.pieces {
            switch piece {
            case .text(let bytes): result += escaped(String(decoding: bytes, as: UTF8.self), dollar: "\\u{24}")
            case .variable(let variable): result += "${\(variable.name)}"
            }
        }
        let isBare = template.pieces.count == 1 && quoted(result) == result
        return isBare ? result : "\"" + result + "\""
    }

    private static func escaped(_ text: String, dollar: String) -> String {
        var result = ""
        var previous: Unicode.Scalar = " "
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case "\r": result += "\\r"
            case "$": result += dollar
            // `${` would begin a reference.
            case "{" where previous == "$" && dollar == "$":
                result.removeLast()
                result += "\\u{24}{"
            default: result.unicodeScalars.append(scalar)
            }
            previous = scalar
        }
        return result
    }
}
