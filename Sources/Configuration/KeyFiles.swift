// Public keys of files, as `key_file` names them: read with the configuration, and again when they change.
package import JOSE

/// Why keys of files cannot be had.
package struct KeyFileError: Error {
    /// The file; nil: the pattern as a whole.
    var path: String?
    private let reason: String

    fileprivate init(_ path: String?, _ reason: String) {
        self.path = path
        self.reason = reason
    }
    /// One sentence; `shown` stands for what was named.
    package func message(_ shown: String) -> String {
        path == nil ? "no file matches \"\(shown)\"" : "key file \"\(shown)\" \(reason)"
    }
}

package enum KeyFiles {
    /// The keys of every file that a path, folder or pattern names.
    static func read(_ name: String) throws(KeyFileError) -> [(path: String, keys: JSONWebKeySet)] {
        let paths = files(of: name)
        if paths.isEmpty { throw KeyFileError(nil, "") }
        return try paths.map { path throws(KeyFileError) in (path, try readFile(path)) }
    }
    /// The keys of several of those, at most 64; or the sentence that says why there are none.
    package static func read(_ names: [String]) -> Result<JSONWebKeySet, Refusal> {
        var all = JSONWebKeySet()
        for name in names {
            do throws(KeyFileError) {
                for (_, keys) in try read(name) { all.append(keys) }
            } catch {
                return .failure(Refusal(text: error.message(error.path ?? name)))
            }
        }
        guard all.keys.count <= JSONWebKeySet.maximumKeys else {
            return .failure(Refusal(text: "there are more than \(JSONWebKeySet.maximumKeys) keys in the key files"))
        }
        return .success(all)
    }
    package struct Refusal: Error { package let text: String }

    /// Folders in which something changes when these keys do: those of the names, and those that links lead to.
    package static func folders(of names: [String]) -> [String] {
        var folders: [String] = []
        for name in names {
            let parent = name.parentFolder
            let found = files(of: name)
            for folder in [parent] + found.map(\.parentFolder)
                + found.compactMap(SourceFile.target(of:)).map(\.parentFolder)
            where !isPattern(folder) && !folders.contains(folder) {
                folders.append(folder)
            }
        }
        return folders
    }

    /// Whether a pattern stands for some of the folders, so that one of them may come unseen.
    package static func hasUnnamedFolders(_ names: [String]) -> Bool { names.contains { isPattern($0.parentFolder) } }

    private static func isPattern(_ path: String) -> Bool { path.contains { "*?[".contains($0) } }

    /// A folder stands for the PEM and JSON files in it; hidden ones are somebody's half-written or older ones.
    private static func files(of name: String) -> [String] {
        guard SourceFile.isFolder(name) else { return SourceFile.matches(name) }
        let folder = name.hasSuffix("/") ? String(name.dropLast()) : name
        return (SourceFile.matches(folder + "/*.json") + SourceFile.matches(folder + "/*.pem")).sorted()
    }

    private static func readFile(_ path: String) throws(KeyFileError) -> JSONWebKeySet {
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try SourceFile.read(path, maximumBytes: JSONWebKeySet.maximumBytes)
        } catch {
            throw KeyFileError(path, "cannot be read: \(error.reason)")
        }
        let set: JSONWebKeySet
        do throws(JOSEError) {
            set = try JSONWebKeySet.parse(file: bytes)
        } catch {
            throw KeyFileError(path, "cannot be used: \(error.description)")
        }
        guard !set.keys.isEmpty else {
            throw KeyFileError(path, "has no usable key\(set.skipped.first.map { ": \($0)" } ?? "")")
        }
        return set
    }
}
