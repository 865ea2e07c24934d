// Lets one process at a time read or change the files of the keys; it goes with the process that holds it.
import Foundation

struct KeyFilesLock {
    private let file: FileHandle

    /// Waits for its turn, which takes as long as it takes to make a key.
    init(folder: String) throws(StartupFailure) {
        guard let (file, _) = LockFile.open(folder + "/.lock"), lockf(file.fileDescriptor, F_LOCK, 0) == 0 else {
            throw StartupFailure("\(folder): the folder of the keys cannot be written, so they cannot be rotated")
        }
        self.file = file
    }

    func release() {
        try? file.close()
    }
}
