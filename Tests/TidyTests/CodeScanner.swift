// Swift text without its comments and without what stands inside string literals; lines keep their numbers.

enum CodeScanner {
    static func code(of text: String) -> String {
        var scanner = Scanner(bytes: Array(text.utf8))
        return scanner.run()
    }

    private struct Scanner {
        let bytes: [UInt8]
        var code: [UInt8] = []
        var i = 0

        init(bytes: [UInt8]) { self.bytes = bytes }

        mutating func run() -> String {
            while i < bytes.count {
                if bytes[i] != UInt8(ascii: "/") && bytes[i] != UInt8(ascii: "\"") {
                    keep()
                } else if starts("//") {
                    skip { $0.starts("\n") }
                } else if starts("\"\"\"") {
                    literal(ends: "\"\"\"")
                } else if starts("\"") {
                    literal(ends: "\"")
                } else {
                    keep()
                }
            }
            return String(decoding: code, as: UTF8.self)
        }
        private func starts(_ word: StaticString) -> Bool {
            word.withUTF8Buffer { bytes[i...].starts(with: $0) }
        }
        private mutating func keep() {
            code.append(bytes[i])
            i += 1
        }
        private mutating func skip(until isEnd: (Scanner) -> Bool) {
            while i < bytes.count && !isEnd(self) {
                if starts("\n") { code.append(bytes[i]) }
                i += 1
            }
        }
        /// Leaves `""` of a literal; what an interpolation holds is dropped with the rest.
        private mutating func literal(ends: StaticString) {
            let width = ends.utf8CodeUnitCount
            code.append(UInt8(ascii: "\""))
            i += width
            while i < bytes.count && !starts(ends) {
                if starts("\n") {
                    code.append(bytes[i])
                    if width == 1 { break }  // a literal of one line has ended, whatever it held
                }
                if starts("\\(") { interpolation() } else { i += starts("\\") ? 2 : 1 }
            }
            code.append(UInt8(ascii: "\""))
            i = min(i + width, bytes.count)
        }
        private mutating func interpolation() {
            i += 2
            var depth = 1
            while i < bytes.count && depth > 0 && !starts("\n") {
                if starts("(") { depth += 1 }
                if starts(")") { depth -= 1 }
                i += 1
            }
        }
    }
}
