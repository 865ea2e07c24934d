// Where a listener stands in the revocations of one database.
import GRDB

/// A place behind a commit, in the words of the feed: `<database>-<number>`. Another database counts from 1 too.
struct FeedCursor: Sendable, Equatable {
    let database: String
    let number: Int64

    var text: String { "\(database)-\(number)" }

    init(database: String, number: Int64) {
        self.database = database
        self.number = number
    }

    /// A cursor as a listener presents it, or nil when we gave it to nobody.
    init?(presented text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let number = Int64(parts[1]), number >= 0 else { return nil }
        self.init(database: String(parts[0]), number: number)
    }
}

extension RevocationStore {
    /// A name of this database that no other has.
    static let feedSchema = """
        CREATE TABLE revocation_feed (database TEXT NOT NULL) STRICT;
        INSERT INTO revocation_feed VALUES (lower(hex(randomblob(8))));
        """

    /// Gives a copy a name of its own: when it is put in the place of the database, what was told after it is undone,
    /// and its numbers will stand for other entries.
    static func renameFeed(of copy: String) throws {
        let queue = try DatabaseQueue(path: copy)
        try queue.write { connection in
            guard try connection.tableExists("revocation_feed") else { return }
            try connection.execute(sql: "UPDATE revocation_feed SET database = lower(hex(randomblob(8)))")
        }
        try queue.close()
    }

    /// Where the feed ends now. The number counts the entries that were swept, too.
    func feedEnd() async throws -> FeedCursor {
        try await database.pool.read { connection in
            let name = try String.fetchOne(connection, sql: "SELECT database FROM revocation_feed")
            let number = try Int64.fetchOne(
                connection, sql: "SELECT seq FROM sqlite_sequence WHERE name = 'revocations'")
            return FeedCursor(database: name ?? "", number: number ?? 0)
        }
    }
}
