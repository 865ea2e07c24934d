// The public keys that a vault last gave, so that tokens can be verified after a start without it.
import Foundation
import GRDB
import Logging

struct PublishedKeyTable: Sendable {
    let database: Database
    /// How long a key may have signed after the vault last gave it, and how long its tokens live.
    let signing: Lifetime
    let accessTokenLifetime: Lifetime
    let logger: Logger

    static let schema = """
        CREATE TABLE published_keys (
            kid TEXT NOT NULL PRIMARY KEY,
            public_pem TEXT NOT NULL,
            -- When the vault last gave it.
            given_ms INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        """

    /// Keeps the public keys of the ring; a shared secret has none. Without it the backend works all the same.
    func keep(_ ring: KeyRing, given: Date) async {
        let keys = ring.published(at: Int64(given.timeIntervalSince1970)).compactMap { key in
            key.publicPEM.map { (id: key.id, pem: $0) }
        }
        do {
            try await database.pool.write { connection in
                try connection.execute(
                    sql: "DELETE FROM published_keys WHERE given_ms < ?", arguments: [given.milliseconds - kept])
                for key in keys {
                    try connection.execute(
                        sql: "INSERT OR REPLACE INTO published_keys VALUES (?, ?, ?)",
                        arguments: [key.id, key.pem, given.milliseconds])
                }
            }
        } catch {
            logger.warning("the public keys could not be kept", metadata: ["error": "\(error)"])
        }
    }

    /// A ring that verifies what the kept keys signed, and signs nothing.
    func ring(at now: Date) async -> KeyRing {
        do {
            let rows = try await database.pool.read { connection -> [(pem: String, given: Int64)] in
                try Row.fetchAll(
                    connection, sql: "SELECT public_pem, given_ms FROM published_keys WHERE given_ms >= ?",
                    arguments: [now.milliseconds - kept]
                ).map { ($0["public_pem"], $0["given_ms"]) }
            }
            var keys: [KeyRing.Retired] = []
            for row in rows {
                let key = try await VerificationKey(pem: row.pem)
                keys.append(KeyRing.Retired(key: key, until: (row.given + kept) / 1000))
            }
            return KeyRing(active: nil, activeSince: nil, next: nil, retired: keys)
        } catch {
            logger.warning("the public keys that were kept cannot be read", metadata: ["error": "\(error)"])
            return .empty
        }
    }

    /// Milliseconds.
    private var kept: Int64 {
        signing.milliseconds + accessTokenLifetime.milliseconds + Int64(KeyRotation.marginSeconds) * 1000
    }
}
