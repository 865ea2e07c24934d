// Reads the small files the backend starts from, with errors that name the file and what to do.
import Foundation

enum FileReading {
    /// No key, user or role file comes near it; a wrong path (a device, a database) must not fill the memory.
    private static let sizeLimitBytes = 4 << 20

    /// The whole file, at most 4 MiB.
    static func bytes(of path: String) throws(StartupFailure) -> [UInt8] {
        let attributes = try attributes(of: path)
        guard attributes[.type] as? FileAttributeType == .typeRegular else {
            throw StartupFailure("\(path): this is not a file")
        }
        guard let size = attributes[.size] as? NSNumber, size.intValue <= sizeLimitBytes else {
            throw StartupFailure("\(path): the file is larger than 4 MiB")
        }
        guard let contents = FileManager.default.contents(atPath: path) else {
            throw StartupFailure("\(path): the file may not be read by this user")
        }
        return [UInt8](contents)
    }

    /// When it was last written; nil when it is not there.
    static func modified(_ path: String) -> Date? {
        (try? FileManager.default.attributesOfItem(atPath: path))?[.modificationDate] as? Date
    }

    /// Refuses a secret that others on this machine can read.
    static func requirePrivate(_ path: String) throws(StartupFailure) {
        guard let mode = try attributes(of: path)[.posixPermissions] as? NSNumber else {
            throw StartupFailure("\(path): its mode cannot be read")
        }
        guard mode.intValue & 0o077 == 0 else {
            let octal = String(mode.intValue & 0o777, radix: 8)
            throw StartupFailure(
                "\(path): its mode is 0\(octal), but only its owner may read it: run `chmod 600 \(path)`")
        }
    }

    /// Replaces the file in one step, so that a crash leaves the old or the new text, never half; mode 0600.
    static func replacePrivately(_ path: String, with text: [UInt8]) throws(StartupFailure) {
        let target = URL(fileURLWithPath: path).resolvingSymlinksInPath()
        do {
            try Data(text).write(to: target, options: .atomic)
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: target.path)
        } catch {
            throw StartupFailure("\(path): the file cannot be replaced: \(error.localizedDescription)")
        }
    }

    private static func attributes(of path: String) throws(StartupFailure) -> [FileAttributeKey: Any] {
        do {
            return try FileManager.default.attributesOfItem(atPath: path)
        } catch {
            guard FileManager.default.fileExists(atPath: path) else {
                throw StartupFailure("\(path): the file does not exist")
            }
            throw StartupFailure("\(path): the file cannot be read: \(error.localizedDescription)")
        }
    }
}
