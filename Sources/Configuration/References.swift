// `${env:NAME}`, `${env:NAME:-default}` and `${file:PATH}`: values that are replaced once, when the file is read.

/// Why a reference has no value.
struct ReferenceError: Error {
    var message: String
}

struct References {
    enum Value {
        /// From outside the file: never shown. `file`: the path, if that is where it came from.
        case secret(String, file: String?)
        /// The default that stands in the file for everybody to read.
        case fallback(String)
    }

    /// A secret is a line or a key; more is a wrong path.
    static let maximumFileBytes = 64 * 1024

    var environment: [String: String]
    /// Relative paths begin here.
    var folder: String

    /// The value of what stands between `${` and `}`; nil when that is no reference but a run-time variable.
    func value(of name: String) throws(ReferenceError) -> Value? {
        if name.hasPrefix("env:") { return try environmentValue(name.dropFirst(4)) }
        if name.hasPrefix("file:") { return try fileValue(String(name.dropFirst(5))) }
        return nil
    }

    private func environmentValue(_ expression: Substring) throws(ReferenceError) -> Value {
        var name = String(expression)
        var fallback: String?
        if let mark = expression.firstIndex(of: ":") {
            guard expression[mark...].hasPrefix(":-") else {
                throw ReferenceError(
                    message: "only \":-default\" may follow the name in a reference to the environment")
            }
            name = String(expression[..<mark])
            fallback = String(expression[mark...].dropFirst(2))
        }
        guard !name.isEmpty else { throw ReferenceError(message: "a reference to the environment needs a name") }
        // As in a shell, `:-` also stands in for a value that is set but empty.
        if let value = environment[name], !(value.isEmpty && fallback != nil) { return .secret(value, file: nil) }
        if let fallback { return .fallback(fallback) }
        throw ReferenceError(
            message: "the environment variable \"\(name)\" is not set and the reference has no \":-default\"")
    }

    private func fileValue(_ path: String) throws(ReferenceError) -> Value {
        let whole = path.joined(to: folder)
        return .secret(try Self.text(of: whole, shown: path), file: whole)
    }
    /// What a file says, without the end of its last line; `shown` is what messages call it.
    static func text(of path: String, shown: String) throws(ReferenceError) -> String {
        do {
            let bytes = try SourceFile.read(path, maximumBytes: maximumFileBytes)
            guard var text = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
                throw ReferenceError(message: "\"\(shown)\" is not text in UTF-8")
            }
            if text.utf8.last == UInt8(ascii: "\n") { text = String(text.utf8.dropLast()) ?? text }
            if text.utf8.last == UInt8(ascii: "\r") { text = String(text.utf8.dropLast()) ?? text }
            return text
        } catch let error as FileError {
            throw ReferenceError(message: "\"\(shown)\" cannot be read: \(error.reason)")
        } catch let error as ReferenceError {
            throw error
        } catch {
            throw ReferenceError(message: "\"\(shown)\" cannot be read")
        }
    }
}
