// Notices that key files, or the roles file, may have changed: by events of their folders, gathered until they have calmed
// down, and now and then by a look at the folders themselves.
import Bytes
import Configuration
import Reactor

struct KeyFileWatch: ~Copyable {
    /// Who replaces files makes several events of it, and what is half done is not worth reading.
    private static var calmNanoseconds: UInt64 { 200_000_000 }
    /// Somebody who writes all the time is not waited for longer than this.
    private static var patienceNanoseconds: UInt64 { 2_000_000_000 }
    /// A folder that was replaced as a whole has no events any more.
    private static var lookNanoseconds: UInt64 { 2_000_000_000 }

    private var folders = FolderWatch()
    private var names: [String] = []
    /// Folders that a pattern stands for may come without an event: only reading it again tells.
    private var hasUnnamedFolders = false
    private var firstChange: Instant?
    private var lastChange = Instant(nanoseconds: 0)
    private var lookedAt = Instant(nanoseconds: 0)

    /// Readable when `noteChange` is to be called.
    var descriptor: Int32 { folders.descriptor }

    /// Watches for changes of what `key_file` and `roles_file` named; those that were so far are forgotten.
    mutating func follow(_ names: [String]) {
        self.names = names
        hasUnnamedFolders = KeyFiles.hasUnnamedFolders(names)
        _ = folders.follow(KeyFiles.folders(of: names))
        firstChange = nil
    }
    mutating func noteChange(now: Instant) {
        folders.drain()
        firstChange = firstChange ?? now
        lastChange = now
    }
    /// True once when the files are to be read again.
    mutating func takeChange(now: Instant) -> Bool {
        if names.isEmpty { return false }
        if now.nanoseconds &- lookedAt.nanoseconds > Self.lookNanoseconds {
            lookedAt = now
            let isOther = hasUnnamedFolders ? folders.follow(KeyFiles.folders(of: names)) : folders.isOutdated()
            if isOther { noteChange(now: now) }
        }
        guard let first = firstChange else { return false }
        let isCalm = now.nanoseconds &- lastChange.nanoseconds >= Self.calmNanoseconds
        guard isCalm || now.nanoseconds &- first.nanoseconds >= Self.patienceNanoseconds else { return false }
        firstChange = nil
        // Links may lead elsewhere now.
        _ = folders.follow(KeyFiles.folders(of: names))
        return true
    }
}
