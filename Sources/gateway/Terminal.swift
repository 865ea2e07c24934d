// Standard error and the environment. Unsafe: C strings of the process's environment, which nobody changes.
import Configuration
import Glibc

enum Terminal {
    /// Messages for people, as they stand in an editor's list of errors.
    static func report(_ diagnostics: [Diagnostic]) {
        for diagnostic in diagnostics { complain(diagnostic.locatingSource().rendered) }
    }
    static func complain(_ line: String) {
        let bytes = Array("\(line)\n".utf8)
        _ = unsafe bytes.withUnsafeBytes { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
    static var environment: [String: String] {
        var all: [String: String] = [:]
        var i = 0
        while let entry = unsafe environ[i] {
            let text = unsafe String(cString: entry)
            if let mark = text.firstIndex(of: "=") {
                all[String(text[..<mark])] = String(text[text.index(after: mark)...])
            }
            i += 1
        }
        return all
    }
}
