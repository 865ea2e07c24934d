// Files by plain system calls: whole contents, patterns, folders. Unsafe: every C pointer here is used within the call
// that
// takes it, but for `glob_t`, which glob() fills, globfree() frees, and nobody keeps.
internal import Glibc

/// Why a file could not be read, in the words of the system.
package struct FileError: Error {
    static let absent = "no such file"
    package var reason: String
}

package enum SourceFile {
    /// All bytes of a file, or an error when there are more than `maximumBytes` (a wrong path must not fill the
    /// memory).
    package static func read(_ path: String, maximumBytes: Int) throws(FileError) -> [UInt8] {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(reason: lastReason()) }
        defer { close(descriptor) }
        return try read(descriptor, maximumBytes)
    }
    /// The same for what the process was given on its standard input.
    package static func readInput(maximumBytes: Int) throws(FileError) -> [UInt8] {
        try read(STDIN_FILENO, maximumBytes)
    }

    private static func read(_ descriptor: Int32, _ maximumBytes: Int) throws(FileError) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 * 1024)
        while true {
            let count = unsafe chunk.withUnsafeMutableBytes { buffer in
                unsafe Glibc.read(descriptor, buffer.baseAddress, buffer.count)
            }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw FileError(reason: lastReason()) }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
            guard bytes.count <= maximumBytes else { throw FileError(reason: "it has more than \(maximumBytes) bytes") }
        }
    }

    /// Paths that match a pattern, sorted; a path without wildcards is itself, present or not.
    static func matches(_ pattern: String) -> [String] {
        guard pattern.contains(where: { "*?[".contains($0) }) else { return [pattern] }
        var found = unsafe glob_t()
        defer { unsafe globfree(&found) }
        guard unsafe glob(pattern, 0, nil, &found) == 0 else { return [] }
        var paths: [String] = []
        for index in 0..<Int(unsafe found.gl_pathc) {
            if let path = unsafe found.gl_pathv[index] { paths.append(unsafe String(cString: path)) }
        }
        return paths
    }

    static func isFolder(_ path: String) -> Bool {
        let descriptor = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if descriptor >= 0 { close(descriptor) }
        return descriptor >= 0
    }

    /// Where a path leads when all its links are followed; nil when nothing is there.
    static func target(of path: String) -> String? {
        guard let target = unsafe realpath(path, nil) else { return nil }
        defer { unsafe free(target) }
        return unsafe String(cString: target)
    }

    /// The folder that the process runs in; "/" when it is gone.
    static func workingFolder() -> String {
        guard let path = unsafe getcwd(nil, 0) else { return "/" }
        defer { unsafe free(path) }
        return unsafe String(cString: path)
    }

    private static func lastReason() -> String {
        let number = errno
        switch number {
        case ENOENT: return FileError.absent
        case EACCES: return "permission denied"
        case EISDIR: return "it is a folder"
        default:
            guard let text = unsafe strerror(number) else { return "error \(number)" }
            return unsafe String(cString: text)
        }
    }
}

extension String {
    /// This path as seen from `folder`, unless it is absolute.
    func joined(to folder: String) -> String {
        if hasPrefix("/") || folder.isEmpty { return self }
        return folder.hasSuffix("/") ? folder + self : folder + "/" + self
    }
    /// Everything before the last slash: `conf/x.conf` → `conf`, `x.conf` → ``, `/x` → `/`.
    var parentFolder: String {
        guard let slash = lastIndex(of: "/") else { return "" }
        return slash == startIndex ? "/" : String(self[..<slash])
    }
}
