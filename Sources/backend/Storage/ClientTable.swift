// The programs of secrets.json in the database.
import Foundation
import GRDB

/// A program that has shown who it is.
struct Client: Sendable {
    let id: String
    let rights: Set<ClientRight>
}

struct ClientTable: Sendable {
    let database: Database

    static let schema = """
        CREATE TABLE clients (
            id TEXT NOT NULL PRIMARY KEY,
            secret_hash BLOB NOT NULL,
            -- Names of rights, separated by blanks.
            rights TEXT NOT NULL
        ) STRICT;
        """

    /// The clients are those of the file: others go in the same transaction.
    static func replaceAll(_ clients: [ClientEntry], _ connection: GRDB.Database) throws {
        try connection.execute(sql: "DELETE FROM clients")
        for client in clients {
            try connection.execute(
                sql: "INSERT INTO clients VALUES (?, ?, ?)",
                arguments: [
                    client.id, client.secretHash, client.rights.map(\.rawValue).sorted().joined(separator: " "),
                ])
        }
    }

    /// The client with this name and secret.
    func client(id: String, secret: String) async throws -> Client? {
        let hash = Data(sha256Of: secret)
        return try await database.pool.read { connection in
            // What is compared is a hash: how long that takes tells nobody how near his guess was.
            try Row.fetchOne(
                connection, sql: "SELECT id, rights FROM clients WHERE id = ? AND secret_hash = ?",
                arguments: [id, hash]
            ).map { row in
                let rights = (row["rights"] as String).split(separator: " ")
                return Client(id: row["id"], rights: Set(rights.compactMap { ClientRight(rawValue: String($0)) }))
            }
        }
    }
}
