// Tells that something changed in one of several folders. Owns the inotify descriptor; paths are used within one call.
import CLinux

package struct FolderWatch: ~Copyable {
    private let inotify = Socket(owning: Int32(cl_inotify()))
    /// Each folder with the number of its watch, -1 when it cannot be watched now.
    private var watches: [(folder: String, number: Int32)] = []

    package init() {}

    /// Readable when something changed.
    package var descriptor: Int32 { inotify.descriptor }

    /// Watches these folders and no others. True when a folder came, went, or is another one than before: what was in it
    /// may have changed unnoticed.
    package mutating func follow(_ folders: [String]) -> Bool {
        let older = watches
        watches = folders.map { folder in
            // An empty path is the working folder, as in every relative path.
            let number = unsafe cl_watch_folder(inotify.descriptor, folder.isEmpty ? "." : folder)
            return (folder, Int32(max(number, -1)))
        }
        for old in older where old.number >= 0 && !watches.contains(where: { $0.number == old.number }) {
            cl_unwatch(inotify.descriptor, old.number)
        }
        return watches.contains { new in !older.contains { $0.folder == new.folder && $0.number == new.number } }
    }

    /// Forgets what was told so far.
    package borrowing func drain() { cl_drain(inotify.descriptor) }
}
