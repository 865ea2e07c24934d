// Lets one party at a time read and import, or change, the files of users and roles: processes and tasks alike.
import Foundation

struct AccountFilesLock {
    private let file: FileHandle

    /// Waits for its turn, which takes as long as it takes to read the files. flock() and not lockf(): a lock of this
    /// kind belongs to the open file, so that two tasks of one process exclude each other too.
    init(beside secrets: String) throws(StartupFailure) {
        let folder = URL(fileURLWithPath: secrets).resolvingSymlinksInPath().deletingLastPathComponent().path
        let path = folder + "/.accounts.lock"
        if !FileManager.default.fileExists(atPath: path) {
            _ = FileManager.default.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o600])
            // Made by root at the command line, it must not shut out the user that the backend runs as.
            FileReading.giveToOwner(of: FileManager.default.fileExists(atPath: secrets) ? secrets : folder, path)
        }
        guard let file = FileHandle(forReadingAtPath: path), Self.take(file.fileDescriptor) else {
            throw StartupFailure("\(folder): this folder cannot be written, so users and roles cannot be changed")
        }
        self.file = file
    }

    private static func take(_ descriptor: Int32) -> Bool {
        while flock(descriptor, LOCK_EX) != 0 {
            guard errno == EINTR else { return false }
        }
        return true
    }

    func release() {
        try? file.close()
    }
}
