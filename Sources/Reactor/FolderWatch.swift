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
            let path = folder.isEmpty ? "." : folder
            return (path, watch(path))
        }
        for old in older where old.number >= 0 && !watches.contains(where: { $0.number == old.number }) {
            cl_unwatch(inotify.descriptor, old.number)
        }
        return watches.contains { new in !older.contains { $0.folder == new.folder && $0.number == new.number } }
    }

    /// True when one of the folders came, went, or is another one than when they were named. Done by the clock, so it
    /// allocates nothing.
    package borrowing func isOutdated() -> Bool {
        for i in watches.indices where watch(watches[i].folder) != watches[i].number { return true }
        return false
    }

    /// The number of its watch, the same as before for a folder that is watched; -1 when it cannot be.
    private borrowing func watch(_ folder: String) -> Int32 {
        let descriptor = inotify.descriptor
        return unsafe folder.withCString { path in Int32(max(unsafe cl_watch_folder(descriptor, path), -1)) }
    }

    /// Forgets what was told so far.
    package borrowing func drain() { cl_drain(inotify.descriptor) }
}
