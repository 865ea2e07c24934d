// A copy of the database as it is at one moment, made while a backend works on it.
import Foundation
import GRDB

struct DatabaseBackup {
    /// The file of the database.
    let source: String

    /// Writes the copy to `target`, which must not exist; it is there whole, or not at all.
    func write(to target: String) throws(StartupFailure) {
        guard FileManager.default.fileExists(atPath: source) else {
            throw StartupFailure("\(source): the database does not exist")
        }
        guard !FileManager.default.fileExists(atPath: target) else {
            throw StartupFailure("\(target): the file exists already: name another one")
        }
        let partial = "\(target).partial"
        do {
            // Of a backup that was cut short.
            if FileManager.default.fileExists(atPath: partial) { try FileManager.default.removeItem(atPath: partial) }
            try copy(to: partial)
            // Does not replace a file that came meanwhile.
            try FileManager.default.moveItem(atPath: partial, toPath: target)
        } catch {
            try? FileManager.default.removeItem(atPath: partial)
            throw StartupFailure("\(target): the copy cannot be written: \(error)")
        }
    }

    private func copy(to path: String) throws {
        var configuration = Configuration()
        configuration.readonly = true
        let queue = try DatabaseQueue(path: source, configuration: configuration)
        // One read transaction: writers go on, and nothing of what they write is in the copy by half.
        try queue.writeWithoutTransaction { try $0.execute(sql: "VACUUM INTO ?", arguments: [path]) }
        try queue.close()
        try RevocationStore.renameFeed(of: path)
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        try file.synchronize()
        try file.close()
    }
}
