// Standard output and error, and the environment. Unsafe: the C library's list of variables, which nothing here changes,
// is copied; texts are used within one call.
import Configuration
import Glibc

enum Terminal {
    /// Messages for people, as they stand in an editor's list of errors.
    static func report(_ diagnostics: [Diagnostic]) {
        for diagnostic in diagnostics { complain(diagnostic.rendered) }
    }
    static func complain(_ line: String) {
        _ = unsafe fputs(line + "\n", stderr)
    }
    static var environment: [String: String] {
        var all: [String: String] = [:]
        var next = unsafe environ
        while let entry = unsafe next?.pointee {
            let text = unsafe String(cString: entry)
            if let mark = text.firstIndex(of: "=") {
                all[String(text[..<mark])] = String(text[text.index(after: mark)...])
            }
            unsafe next = unsafe next?.advanced(by: 1)
        }
        return all
    }
}
