// The files that processes take turns by.
import Foundation

enum LockFile {
    /// Opens the file, which is made, with mode 0600, where it is missing; nil when that is not possible. Made by the kernel
    /// in one step: of two processes that start at once one would otherwise lock a file that the other has replaced.
    static func open(_ path: String) -> (file: FileHandle, isNew: Bool)? {
        // Unsafe: open() reads the string for the length of the call.
        let made = unsafe Foundation.open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        if made >= 0 { return (FileHandle(fileDescriptor: made, closeOnDealloc: true), true) }
        let found = unsafe Foundation.open(path, O_RDWR | O_CLOEXEC)
        return found >= 0 ? (FileHandle(fileDescriptor: found, closeOnDealloc: true), false) : nil
    }

    /// Waits until nobody else has it. flock() and not lockf(): a lock of this kind belongs to the open file, so that two
    /// tasks of one process exclude each other too.
    static func take(_ file: FileHandle) -> Bool {
        while flock(file.fileDescriptor, LOCK_EX) != 0 {
            guard errno == EINTR else { return false }
        }
        return true
    }
}
