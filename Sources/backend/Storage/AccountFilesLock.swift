// Lets one party at a time read and import, or change, the files of users and roles: processes and tasks alike.
import Foundation

struct AccountFilesLock {
    private let file: FileHandle

    /// Waits for its turn, which takes as long as it takes to read the files.
    init(beside secrets: String) throws(StartupFailure) {
        let folder = URL(fileURLWithPath: secrets).resolvingSymlinksInPath().deletingLastPathComponent().path
        let path = folder + "/.accounts.lock"
        let opened = LockFile.open(path)
        if opened?.isNew == true {
            // Made by root at the command line, it must not shut out the user that the backend runs as.
            FileReading.giveToOwner(of: FileManager.default.fileExists(atPath: secrets) ? secrets : folder, path)
        }
        guard let file = opened?.file, LockFile.take(file) else {
            throw StartupFailure("\(folder): this folder cannot be written, so users and roles cannot be changed")
        }
        self.file = file
    }

    func release() {
        try? file.close()
    }
}
