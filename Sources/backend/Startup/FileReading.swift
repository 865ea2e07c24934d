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
        try replace(path, with: text, mode: 0o600)
    }

    /// The same; without a `mode` it keeps the one that it has. Its owner stays too, whoever replaces it.
    static func replace(_ path: String, with text: [UInt8], mode: Int? = nil) throws(StartupFailure) {
        let target = URL(fileURLWithPath: path).resolvingSymlinksInPath()
        let temporary = target.deletingLastPathComponent().path + "/.\(target.lastPathComponent).\(UUID().uuidString)"
        do {
            let files = FileManager.default
            let found = (try? files.attributesOfItem(atPath: target.path))?[.posixPermissions] as? NSNumber
            _ = files.createFile(atPath: temporary, contents: nil, attributes: [.posixPermissions: 0o600])
            let file = try FileHandle(forWritingTo: URL(fileURLWithPath: temporary))
            try file.write(contentsOf: text)
            // On the disk before it has the name: after a power cut a name must not stand for an empty file.
            try file.synchronize()
            try file.close()
            try files.setAttributes([.posixPermissions: mode ?? found?.intValue ?? 0o600], ofItemAtPath: temporary)
            if files.fileExists(atPath: target.path) { giveToOwner(of: target.path, temporary) }
            // Unsafe: rename() reads the two strings for the length of the call.
            guard unsafe rename(temporary, target.path) == 0 else {
                throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO)
            }
        } catch {
            try? FileManager.default.removeItem(atPath: temporary)
            throw StartupFailure("\(path): the file cannot be replaced: \(error.localizedDescription)")
        }
    }

    /// Root, who may change any file, must leave it to the one who reads it.
    static func giveToOwner(of model: String, _ path: String) {
        guard geteuid() == 0, let owner = try? FileManager.default.attributesOfItem(atPath: model) else { return }
        let names: [FileAttributeKey] = [.ownerAccountID, .groupOwnerAccountID]
        try? FileManager.default.setAttributes(owner.filter { names.contains($0.key) }, ofItemAtPath: path)
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
