// What a change in the database ends in Redis: written down in the transaction of the change, and struck out when Redis
// has been told. So neither a crash nor a Redis that is away loses any of it.
import GRDB

/// One of them.
enum Ending: Sendable {
    /// All sessions and tokens of a user.
    case sessions(of: String)
    /// The access tokens of a user.
    case tokens(of: String)
    case entry(Revocation)
}

actor PendingEndings {
    private static let portion = 100

    private let database: Database
    private var running: Task<Void, any Error>?

    init(database: Database) { self.database = database }

    static let schema = """
        CREATE TABLE pending_endings (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            -- "sessions" or "tokens" of the user that is the value, or the kind of an entry.
            kind TEXT NOT NULL,
            value TEXT NOT NULL,
            issuer TEXT NOT NULL,
            until INTEGER NOT NULL
        ) STRICT;
        """

    /// Writes one down in the caller's transaction.
    static func append(_ ending: Ending, in connection: GRDB.Database) throws {
        let row: (kind: String, value: String, issuer: String, until: Int64) =
            switch ending {
            case .sessions(let user): ("sessions", user, "", 0)
            case .tokens(let user): ("tokens", user, "", 0)
            case .entry(let entry): (entry.kind.rawValue, entry.value, entry.issuer, entry.until)
            }
        try connection.execute(
            sql: "INSERT INTO pending_endings (kind, value, issuer, until) VALUES (?, ?, ?, ?)",
            arguments: [row.kind, row.value, row.issuer, row.until])
    }

    /// Carries out all that were written down before the call, in their order; one is struck out after it succeeded.
    /// Two that came at once would end more than was meant: they take turns.
    func settle(_ carryOut: @escaping @Sendable (Ending) async throws -> Void) async throws {
        while let running { _ = await running.result }
        let task = Task {
            defer { running = nil }
            try await self.settleAll(carryOut)
        }
        running = task
        try await task.value
    }

    private func settleAll(_ carryOut: @Sendable (Ending) async throws -> Void) async throws {
        while true {
            let rows = try await database.pool.read { connection in
                try Row.fetchAll(
                    connection, sql: "SELECT * FROM pending_endings ORDER BY number LIMIT ?",
                    arguments: [Self.portion]
                ).map { (number: $0["number"] as Int64, ending: Self.ending($0)) }
            }
            for (number, ending) in rows {
                if let ending { try await carryOut(ending) }
                try await database.pool.write { connection in
                    try connection.execute(sql: "DELETE FROM pending_endings WHERE number = ?", arguments: [number])
                }
            }
            if rows.count < Self.portion { return }
        }
    }

    private static func ending(_ row: Row) -> Ending? {
        let kind: String = row["kind"]
        let value: String = row["value"]
        switch kind {
        case "sessions": return .sessions(of: value)
        case "tokens": return .tokens(of: value)
        default:
            return Revocation.Kind(rawValue: kind).map {
                .entry(Revocation(issuer: row["issuer"], kind: $0, value: value, until: row["until"]))
            }
        }
    }
}
